"""Sources of networks: one file each, with `defaults` and `network`.

Their table is :data:`ectool.models.registry.SOURCES`.
"""
