"""Weights on disk: our own, and files of other people, read without running code."""
