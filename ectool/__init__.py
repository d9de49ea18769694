"""Verifiably object-centred image classifiers: a toolkit of composable stages."""
