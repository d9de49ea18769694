"""What `evaluate` computes for one batch. Only these modules of `evaluate` import torch."""
