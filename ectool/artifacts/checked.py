"""What the manifest says of an artifact's contents, and what of it has been compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ectool.artifacts.hashing import digest_json
from ectool.artifacts.manifest import Manifest
from ectool.artifacts.raw_rows import Seal, Seals
from ectool.artifacts.schema import spec_of


class Checked:
    """Digests of arrays by shard, and which of them were found to be right.

    Arrays that the schema does not know have none: they are their owner's.

    Args:
        manifest: The artifact's manifest, if it has one.
        kind: Its schema.
    """

    def __init__(self, manifest: Manifest | None, kind: str) -> None:
        self.kind = kind
        self.shards = manifest.shards if manifest else ()
        self.attributes = manifest.attributes if manifest else {}
        self._seen: set[tuple[str, int]] = set()

    def is_due(self, name: str, number: int) -> bool:
        """Return whether an array of a shard is still to be compared."""
        known = bool(self.shards) and spec_of(self.kind, name) is not None
        return known and (name, number) not in self._seen

    def digest(self, name: str, number: int) -> str | None:
        """Return the digest of an array of a shard; None where only the whole shard has one."""
        return self.shards[number].arrays.get(name)

    def add(self, name: str, number: int) -> None:
        """Note that an array of a shard is what was written."""
        self._seen.add((name, number))

    def clear(self) -> None:
        """Forget what has been compared."""
        self._seen.clear()

    def seals(self, name: str) -> Seals | None:
        """Return rows and digest of an array in every shard, where each shard has one."""
        digests = [shard.arrays.get(name) for shard in self.shards]
        if not digests or None in digests:
            return None
        pairs = zip(self.shards, digests, strict=True)
        return tuple(Seal(shard.stop - shard.start, digest or "") for shard, digest in pairs)

    def wrong_attributes(self, found: Mapping[str, Any]) -> list[str]:
        """Return the names of root attributes that are not what was written."""
        return [
            name
            for name, digest in sorted(self.attributes.items())
            if name not in found or digest_json(found[name]) != digest
        ]

    def wrong_names(self, found: Collection[str]) -> list[str]:
        """Return the names of arrays that are gone, or that the schema knows and nobody wrote."""
        known = {name for name in found if spec_of(self.kind, name) is not None}
        written = [set(shard.arrays) for shard in self.shards if shard.arrays]
        return sorted(known ^ written[0]) if written else []
