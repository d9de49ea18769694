"""Outcome of gates for pull requests and CI systems: Markdown and JUnit XML."""
