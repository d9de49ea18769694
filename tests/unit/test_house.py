"""The shape of the house: small functions, files and folders, and tests that follow the tree."""

from __future__ import annotations

import ast
import io
import re
import statistics
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE, TESTS = ROOT / "ectool", ROOT / "tests/unit"
LAYOUT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    tokenize.ENDMARKER,
}


def code_lines(text: str) -> set[int]:
    """Return the numbers of the lines that hold more than a comment."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    spans = [range(t.start[0], t.end[0] + 1) for t in tokens if t.type not in LAYOUT]
    return {line for span in spans for line in span}


def functions(text: str) -> Iterator[tuple[str, int]]:
    """Yield every function and how many lines of code its body has, the docstring not counted."""
    code = code_lines(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            has_docstring = ast.get_docstring(node) is not None
            body = node.body[1:] if has_docstring else node.body
            lines = range(body[0].lineno, body[-1].end_lineno + 1) if body else range(0)
            yield node.name, len(code.intersection(lines))


def modules(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


def test_functions_and_files_are_small():
    found = [
        (f"{path.relative_to(ROOT)}:{name}", length)
        for path in modules(PACKAGE)
        for name, length in functions(path.read_text())
    ]
    assert [name for name, length in found if length > 40] == []
    lengths = [length for _, length in found]
    assert statistics.median(lengths) <= 6
    assert statistics.quantiles(lengths, n=10)[-1] <= 15
    sizes = {str(path): len(path.read_text().splitlines()) for path in modules(PACKAGE)}
    assert {name: n for name, n in sizes.items() if n > 300} == {}


def test_lines_of_a_function_are_counted_without_comments_and_docstring():
    text = 'def f(a):\n    """Do.\n\n    More.\n    """\n    # why\n    b = (\n        a\n    )\n\n'
    text += "    return b\n"
    assert dict(functions(text)) == {"f": 4}


def test_folders_are_small():
    sizes = Counter(str(path.parent) for path in modules(PACKAGE))
    assert {name: n for name, n in sizes.items() if n > 20} == {}


def test_every_package_has_its_folder_of_tests():
    packages = {
        path.parent.relative_to(PACKAGE)
        for path in modules(PACKAGE)
        if path.name != "__init__.py" and path.parent != PACKAGE
    }
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    assert folders - {Path()} == packages


def test_tests_of_a_module_lie_where_the_module_does():
    places: dict[str, set[Path]] = {}
    for path in modules(PACKAGE):
        places.setdefault(path.stem, set()).add(path.parent.relative_to(PACKAGE))
    misplaced = {
        str(path.relative_to(TESTS)): sorted(map(str, places[name]))
        for path in TESTS.rglob("test_*.py")
        if (name := path.stem.removeprefix("test_")) in places
        and path.parent.relative_to(TESTS) not in places[name]
    }
    assert misplaced == {}


class TestContributing:
    """CONTRIBUTING shows the tree as it is."""

    text = (ROOT / "CONTRIBUTING.md").read_text()

    def test_the_tree_names_every_package(self):
        tree = self.text.split("```")[1]
        packages = [path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE]
        names = {path.parent.relative_to(PACKAGE) for path in packages}
        suites = {path for path in names if path.parent.name == "suites"}  # one sentence for all
        missing = [str(path) for path in sorted(names - suites) if f"{path.name}/" not in tree]
        assert missing == []
        assert set(re.findall(r"([a-z]+)/", tree)) <= {p.name for p in names} | {
            "ectool",
            "unit",
            "tests",
        }

    def test_every_file_and_table_of_a_new_method_exists(self):
        rows = re.findall(r"^\| (?!new|---)(.*) \|$", self.text, flags=re.MULTILINE)
        assert len(rows) > 10
        for row in rows:
            paths = [word for word in re.findall(r"`([a-z_/.0-9]+)`", row) if "/" in word]
            assert [word for word in paths if not (PACKAGE / word).exists()] == [], row
            files = [PACKAGE / word for word in paths if word.endswith(".py")]
            files += sorted(PACKAGE.glob("stages/evaluate/suites/*/metrics.py"))
            tables = re.findall(r"`([A-Z_]+)`", row)
            defined = "".join(path.read_text() for path in files)
            assert [name for name in tables if not re.search(rf"^{name}\b", defined, re.M)] == [], (
                row
            )


PARTIAL = {
    *("artifacts/jobs/writers.py", "artifacts/jobs/opening.py", "artifacts/jobs/metadata.py"),
    *("artifacts/jobs/remains.py", "artifacts/jobs/sealed.py", "stages/common/loop/pieces.py"),
}
"""Readers of unfinished artifacts, whose bytes have been compared with digests."""


OWN = {"artifacts/guard/child.py", "artifacts/guard/hdf5_file.py"}
"""Readers of what a copy of this process tells it."""


def test_documents_from_outside_have_one_reader():
    """JSON and TOML are read by `ectool.parsing`, which refuses what would break later code."""
    form = re.compile(r"\bjson\.loads?\(|\btomllib\b\.|model_validate_json\(|import tomllib")
    found = {str(p.relative_to(PACKAGE)) for p in modules(PACKAGE) if form.search(p.read_text())}
    assert found - PARTIAL - OWN == {"parsing.py"}
