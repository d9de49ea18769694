"""The loop over batches of the stages that compute with a model."""
