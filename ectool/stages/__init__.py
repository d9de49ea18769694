"""The verbs: each module reads inputs, calls the nouns, and writes one artifact.

Modules here load torch only when there is something to compute, so that finding an output up to
date costs next to nothing.
"""
