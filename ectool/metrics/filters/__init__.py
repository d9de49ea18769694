"""Filters of a layer: the parts and patterns that they stand for."""
