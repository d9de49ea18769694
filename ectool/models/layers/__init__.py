"""Layers of a network: the target layer, the head, and the order of its tokens."""
