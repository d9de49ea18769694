"""The verbs: each package or module reads inputs, computes, and writes artifacts; see `run` in it.

Torch is imported only when something has to be computed, so that an up-to-date output is recognised
quickly.
"""
