"""Unfinished artifacts: locks, work of several processes, and what a killed process has left."""
