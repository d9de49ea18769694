"""Robustness suite: accuracy under attacks and common corruptions."""
