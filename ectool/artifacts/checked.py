"""Digests of the contents of an artifact, and which of them have been compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ectool.artifacts.hashing import digest_json
from ectool.artifacts.manifest import Manifest
from ectool.artifacts.raw_rows import Seal, Seals
from ectool.artifacts.schema import spec_of


class Checked:
    """Digests of arrays by shard, and the arrays that were found to match.

    Arrays of users, which are not in the schema, have none.

    Args:
        manifest: The artifact's manifest, if it has one.
        kind: Its schema.
    """

    def __init__(self, manifest: Manifest | None, kind: str) -> None:
        self.kind = kind
        self.shards = manifest.shards if manifest else ()
        self.attributes = manifest.attributes if manifest else {}
        self._seen: set[tuple[str, int]] = set()

    @property
    def are_in_order(self) -> bool:
        """Return whether there are shards that follow each other from row 0 on."""
        stops = [0, *(shard.stop for shard in self.shards)]
        pairs = zip(stops, self.shards, strict=False)
        return bool(self.shards) and all(last == s.start < s.stop for last, s in pairs)

    def is_due(self, name: str, number: int) -> bool:
        """Return whether an array of a shard has not been compared yet."""
        known = bool(self.shards) and spec_of(self.kind, name) is not None
        return known and (name, number) not in self._seen

    def digest(self, name: str, number: int) -> str | None:
        """Return the digest of an array of a shard; None if only the whole shard has one."""
        return self.shards[number].arrays.get(name)

    def add(self, name: str, number: int) -> None:
        """Record that an array of a shard matches its digest."""
        self._seen.add((name, number))

    def clear(self) -> None:
        """Reset all comparisons."""
        self._seen.clear()

    def seals(self, name: str) -> Seals | None:
        """Return rows and digest of an array in every shard; None if a shard has no digest."""
        digests = [shard.arrays.get(name) for shard in self.shards]
        if not digests or None in digests:
            return None
        pairs = zip(self.shards, digests, strict=True)
        return tuple(Seal(shard.stop - shard.start, digest or "") for shard, digest in pairs)

    def changed_attributes(self, found: Mapping[str, Any]) -> list[str]:
        """Return the names of root attributes that have changed or are missing."""
        return [
            name
            for name, digest in sorted(self.attributes.items())
            if name not in found or digest_json(found[name]) != digest
        ]

    def changed_names(self, found: Collection[str]) -> list[str]:
        """Return the names of arrays that are missing, or were added with a name of the schema."""
        known = {name for name in found if spec_of(self.kind, name) is not None}
        written = [set(shard.arrays) for shard in self.shards if shard.arrays]
        return sorted(known ^ written[0]) if written else []
