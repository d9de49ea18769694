"""Artifacts in object stores: read on demand, written under a unique prefix, published last."""
