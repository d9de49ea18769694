"""Attributions by gradients or relevance that flow back to the pixels."""
