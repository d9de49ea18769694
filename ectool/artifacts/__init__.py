"""The artifact contract: schemas, stores, manifests, and how an artifact comes to be whole.

The only package that imports zarr and h5py.
"""
