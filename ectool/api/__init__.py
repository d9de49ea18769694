"""The functions of `import ectool`: the stages on arrays and tensors in memory, without files.

`ectool/__init__.py` names them and imports their modules when they are first used.
"""
