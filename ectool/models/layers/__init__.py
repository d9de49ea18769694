"""Layers of a network: the target layer, the head, and where its tokens lie."""
