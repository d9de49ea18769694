"""Filters suite: whether the filters of a layer stand for parts of objects, or for patterns."""
