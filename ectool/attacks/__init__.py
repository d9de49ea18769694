"""Semantic-preserving perturbations: background masks, random starts, masked PGD."""
