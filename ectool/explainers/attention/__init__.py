"""Attributions from the attention of a transformer."""
