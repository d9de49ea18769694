"""What several stages share: inputs, loaded models, shards, batches, file names."""
