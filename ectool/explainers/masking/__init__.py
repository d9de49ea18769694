"""Attributions by hiding pixels: forward passes only."""
