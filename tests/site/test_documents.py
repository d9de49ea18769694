"""The documents: links, addresses, navigation and citation. `make site` checks anchors, too."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import yaml

from docs import site_hooks

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "data/README.md"])
FENCE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    return LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_addresses(page):
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme in {"https", "http"}, link
            assert "." in parts.netloc, link
        elif parts.path:
            assert (page.parent / parts.path).exists(), link


def test_every_page_is_in_the_navigation():
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")}
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    listed = re.findall(r"[\w/-]+\.md", navigation)
    assert sorted(listed) == sorted(pages)


class TestLinksOutOfTheSite:
    """They lead to the repository."""

    def call(self, text: str, uri: str = "data.md") -> str:
        page = SimpleNamespace(file=SimpleNamespace(src_uri=uri))
        return site_hooks.on_page_markdown(text, page=page, config={"repo_url": "https://x.org/r"})

    def test_files(self):
        found = self.call("[a](../data/README.md#stl10), [b](../LICENSE)")
        assert found == (
            "[a](https://x.org/r/blob/main/data/README.md#stl10), [b](https://x.org/r/blob/main/LICENSE)"
        )

    def test_pages_of_the_site_are_unchanged(self):
        text = "[a](../method.md#score) [b](cli.md) [c](https://a.org/../b)"
        assert self.call(text, "tutorials/audit.md") == text

    def test_absent_files_are_errors(self):
        with pytest.raises(FileNotFoundError, match=r"data.md: no file .*nothing\.md"):
            self.call("[a](../nothing.md)")


def test_the_citation_has_version_and_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (citation["title"], citation["version"]) == (project["name"], project["version"])
    assert citation["license"] == project["license"]
    [paper] = citation["references"]
    for page in (ROOT / "README.md", ROOT / "docs/method.md", ROOT / "docs/index.md"):
        assert paper["doi"] in page.read_text()
        assert paper["title"] in re.sub(r"\s+", " ", page.read_text())
