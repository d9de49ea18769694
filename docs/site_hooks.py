"""Hooks of the site: links to files outside of docs/ lead to the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BRANCH = "blob/main"
OUTSIDE = re.compile(r"\]\(((?:\.\./)+)(?P<path>[^)#]+)(?P<anchor>#[^)]*)?\)")
"""A Markdown link that begins with `../`."""


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: object) -> str:  # noqa: ANN401
    """Replace links that leave docs/ by links to the repository.

    Args:
        markdown: Text of a page.
        page: The page of mkdocs.
        config: The configuration of mkdocs.

    Returns:
        The text with other links.

    Raises:
        FileNotFoundError: Such a link leads to a file that does not exist.
    """
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def replace(link: re.Match[str]) -> str:
        target = (folder / link[1] / link["path"]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return link[0]
        if not target.exists():
            raise FileNotFoundError(f"{page.file.src_uri}: no file {target}")
        path = target.relative_to(ROOT).as_posix()
        return f"]({config['repo_url']}/{BRANCH}/{path}{link['anchor'] or ''})"

    return OUTSIDE.sub(replace, markdown)
