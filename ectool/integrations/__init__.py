"""Explanation consistency in the training loops of other programs.

`in_batch` and `rounds` need torch only. `huggingface` and `lightning` are callbacks of the trainers
of these packages, which import their package.
"""
