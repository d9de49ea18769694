"""The artifact contract: schemas, stores, manifests, and the writing of complete artifacts.

The only package that imports zarr and h5py.
"""
