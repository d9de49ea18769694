"""Weights in files: those of ectool, and those of other programs, read without running code.

`files` finds and recognises the files, `tensors` reads them, `containers` lists what may be around
the weights, `checkpoint` loads them into a model and saves them.
"""
