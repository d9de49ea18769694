"""Training on several ranks: parts of batches, gradients and statistics of the whole batch."""
