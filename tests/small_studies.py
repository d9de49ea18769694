"""A study of `ectool validity` that takes seconds."""

from __future__ import annotations


def study_of(*epochs: int) -> str:
    """Return the file of a study that measures checkpoints after these epochs."""
    return f"""
[study]
rho = [0.5]
seeds = [0]
epochs = {list(epochs)}
draws = 1
first_draw = 0
test_split = "validation"
limit = 20
levels = [0.7]
eps = ["8/255"]
steps = 1
donors = 2
maps = ["gradcam"]
replacements = ["fill", "replace"]
attacks = ["pgd", "pgd-inverse"]
backgrounds = 3
resamples = 100
chosen = "replace/gradcam/0.7|pearson|softened"
default = "pgd/gradcam/8|cosine|probability"

[train]
epochs = {max(epochs)}
limit = 64
"""
