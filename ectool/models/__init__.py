"""Classifiers: a network with its normalisation, class names and target layer.

`sources/` makes networks, `checkpoints/` reads and writes their weights, `layers/` finds their
target layer and head, `outputs/` maps their outputs to logits of the classes of the data.
"""
