"""The changes of a kind: a mix of those of documents, bytes and trees."""

from __future__ import annotations

import random
from pathlib import Path

from .bytes_changes import change_bytes
from .documents import change_document
from .model import Change, Draw
from .tree_changes import change_tree, entries

DOCUMENTS = {".json", ".toml", ".csv"}


def mixed(*, documents: float = 0.35, trees: float = 0.25, only: str = "") -> Change:
    """Return changes of a kind: shares of those of documents and of trees; the rest are of bytes.

    Args:
        documents: Share of changes by structure, of files that have one.
        trees: Share of changes of whole entries.
        only: A pattern; files that match it are preferred.
    """

    def change(root: Path, rng: random.Random, draw: Draw) -> list[str]:
        done = []
        for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
            kind = rng.random()
            files = entries(root, files_only=True)
            preferred = [path for path in files if only and path.match(only)]
            structured = [p for p in preferred or files if p.suffix in DOCUMENTS]
            if kind < documents and structured:
                try:
                    done.append(change_document(rng.choice(structured), rng, draw))
                    continue
                except (ValueError, RecursionError):  # an earlier change has left no document
                    pass
            entries_left = preferred or [path for path in entries(root) if path != root]
            if entries_left and (documents <= kind < documents + trees or not files):
                done.append(change_tree(rng.choice(entries_left), rng))
            elif files:
                done.append(change_bytes(rng.choice(preferred or files), rng))
        return done

    return change
