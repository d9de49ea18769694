"""Outputs of a network as logits, one for each class of the data."""
