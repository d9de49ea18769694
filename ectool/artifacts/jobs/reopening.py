"""Finished artifacts with damaged shards, turned back into unfinished ones."""

from __future__ import annotations

from pathlib import Path

from ectool.artifacts import files
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.own import record_own, save_own
from ectool.artifacts.partial import growing
from ectool.artifacts.schema import spec_of


def reopen(output: Path, recipe: Recipe, *, shard_size: int) -> list[int]:
    """Turn a finished output with damaged shards back into an unfinished one.

    Arrays and files of users stay in it.

    Returns:
        The numbers of the damaged shards; empty (and the output unchanged) if none is damaged.
    """
    with Artifact(output, recipe.kind, repair=True) as artifact:
        damaged, manifest = artifact.damage(), artifact.manifest
        if not damaged or manifest is None:
            return []
        known = [name for name in artifact.columns if spec_of(recipe.kind, name) is not None]
        with growing(
            output,
            recipe,
            length=len(artifact),
            shard_size=shard_size,
            attributes=artifact.intact_attributes(),
            begun_with=manifest.versions,
            is_repaired=True,
        ) as partial:
            save_own(output, known, partial.own)
            record_own(partial.own)
            if manifest.findings:
                partial.record_findings(manifest.findings)
            for number, shard in enumerate(manifest.shards):
                if number not in damaged:
                    arrays = {
                        name: artifact.read(name, shard.start, shard.stop)
                        for name in shard.arrays or known
                    }
                    partial.write(number, arrays, shard.findings)
            files.move_aside(output, "damaged")
    return list(damaged)
