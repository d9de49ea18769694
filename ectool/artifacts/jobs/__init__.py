"""One artifact, written by several processes or jobs."""
