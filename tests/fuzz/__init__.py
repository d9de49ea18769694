"""Hostile inputs for every command that reads files: `python -m tests.fuzz --help`.

A case is a valid input of a kind, changed by a generator that only its seed, kind and number
determine. Every command that reads such an input runs on it in a forked process of its own folder.
`verdicts.py` lists what is a failure.

To add a kind, write a `Kind` in a module of `kinds/`, and its row in `KINDS` of
`kinds/__init__.py`: the valid inputs (made once by `corpus.py`), the commands, and how it is
changed. Nothing else is needed. Add a small failing input to `found/`, see `test_found.py`.
"""
