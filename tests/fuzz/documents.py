"""Structured inputs: values and edits that hypothesis draws, and texts in JSON, TOML and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

BLOCK = 50
"""Values that are drawn at once; a case takes one of its block, whatever the number of cases."""

NUMBERS = (0, -1, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, 1e308, math.nan, math.inf)
TEXTS = (
    *("", "../../canary", "/etc/passwd", "\x1b]0;title\x07", "a\nerror: b", "\u202eabc", "\0"),
    *("file:///etc", "s3://x/y", "import:os:system", "%s{0}", "x" * 5000, "1/0", "~", "C:\\"),
)
text = st.one_of(st.sampled_from(TEXTS), st.text(max_size=30))
scalar = st.one_of(
    st.none(), st.booleans(), st.sampled_from(NUMBERS), st.integers(), st.floats(), text
)
value = st.recursive(
    scalar,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=3)),
    max_leaves=8,
)
OPERATIONS = ("replace", "replace", "replace", "remove", "rename", "insert", "wrap", "repeat")
edit = st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(OPERATIONS), value, text)
STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "edits": st.lists(edit, min_size=1, max_size=3),
    "document": value,
    "table": st.lists(st.lists(text, max_size=5), max_size=6),
}


def drawn(name: str, number: int) -> list[Any]:
    """Return a block of values of a strategy; the number of the block is their seed."""
    found: list[Any] = []

    @seed(number)
    @settings(
        max_examples=BLOCK,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(STRATEGIES[name])
    def collect(one: Any) -> None:
        found.append(one)

    collect()
    return found


def edited(tree: Any, edits: list[tuple[float, str, Any, str]]) -> Any:
    """Return a document after edits; each names its place as a share of all places."""
    root = {"": json.loads(json.dumps(tree))}
    for share, operation, new, name in edits:
        places = list(_places(root))
        parent, key = places[int(share * len(places))]
        _apply(parent, key, operation, new, name)
    return root.get("")


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield parent and key of every value of a document."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in list(items):
        yield node, key
        if isinstance(child, dict | list):
            yield from _places(child)


def _apply(parent: Any, key: Any, operation: str, new: Any, name: str) -> None:
    is_table = isinstance(parent, dict) and key != ""
    if operation == "remove" and key != "":
        del parent[key]
    elif operation == "rename" and is_table:
        parent[name] = parent.pop(key)
    elif operation == "insert" and is_table:
        parent[name] = new
    elif operation == "wrap":
        parent[key] = [parent[key]]
    elif operation == "repeat" and isinstance(parent, list):
        parent.append(parent[key])
    else:
        parent[key] = new


def to_json(tree: Any) -> bytes:
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def to_toml(tree: Any) -> bytes:
    """Return TOML of a document; inline tables only. What TOML lacks becomes an invalid file."""
    lines = (f"{json.dumps(key)} = {_toml(child)}" for key, child in tree.items())
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def _toml(node: Any) -> str:
    if isinstance(node, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(map(_toml, node)) + "]"
    if isinstance(node, float):
        return str(node)
    return json.dumps(node)


def to_csv(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


SPOILERS: tuple[Callable[[bytes], bytes], ...] = (
    lambda content: b"\xef\xbb\xbf" + content,
    lambda content: content.decode("utf-8", "replace").encode("utf-16"),
    lambda content: b"[" * 100_000 + content,
    lambda content: b'{"a":' * 100_000 + content,
    lambda content: content.replace(b"{", b'{"kind":1,', 1),
    lambda content: content.replace(b"\n", b"\r"),
    lambda content: content + content,
    lambda content: content[:-2] + b"\xff" + content[-2:],
    lambda content: content.replace(b":", b": \0", 1),
)
"""Texts that are no longer valid, or differently."""


def change_document(path: Path, rng: random.Random, draw: Callable[[str], Any]) -> str:
    """Change a JSON, TOML or CSV file by its structure; return what was done."""
    if rng.random() < 0.1:
        path.write_bytes(rng.choice(SPOILERS)(path.read_bytes()))
        return f"spoiled {path.name}"
    if rng.random() < 0.06:
        path.write_bytes(to_json(draw("document")))
        return f"another document in {path.name}"
    edits = draw("edits")
    if path.suffix == ".csv":
        rows = list(csv.reader(path.read_text().splitlines()))
        path.write_bytes(to_csv(_cells(edited(rows, edits))))
    elif path.suffix == ".toml":
        tree = edited(tomllib.loads(path.read_text()), edits)
        path.write_bytes(to_toml(tree) if isinstance(tree, dict) else to_json(tree))
    else:
        path.write_bytes(to_json(edited(json.loads(path.read_bytes()), edits)))
    return f"{', '.join(edit[1] for edit in edits)} in {path.name}"


def _cells(rows: Any) -> list[list[str]]:
    lists = rows if isinstance(rows, list) else [rows]
    return [row if isinstance(row, list) else [row] for row in lists]
