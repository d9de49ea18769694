"""Digests that cover what the digests of contents do not: whole documents, whole files."""
