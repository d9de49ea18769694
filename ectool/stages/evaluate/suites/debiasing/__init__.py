"""Debiasing suite: accuracy on other backgrounds."""
