"""Run the tutorials of docs/tutorials, and copy the pictures that they make.

    python -m docs.make_tutorials [NAME...]

A page is run from top to bottom in an empty folder:

- A block of code after a line that ends with a file name in backticks and a colon is that file.
- In a block `console`, `$ ` begins a command, and a backslash continues it. Each other line must
  be in the output, in this order; numbers may differ, and further lines may lie between. `…`
  stands for such lines.
- A picture after a comment `<!-- from PATH -->` is copied from PATH.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).parent / "tutorials"
STEP = re.compile(
    r"`(?P<file>[\w./-]+)`:\n+```\w*\n(?P<text>.*?)^```"
    r"|^```console\n(?P<commands>.*?)^```"
    r"|^<!-- from (?P<source>\S+) -->\n!\[[^]]*\]\((?P<picture>[^)]+)\)",
    re.MULTILINE | re.DOTALL,
)
NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?%?")
PLUGINS = "plugins"
"""Folder that packages are installed into, which are then found by Python."""
TIMEOUT = 600


@dataclass(frozen=True)
class Command:
    """A command, and lines of its output.

    Attributes:
        text: Text for the shell.
        lines: Lines that the output must have, in this order.
    """

    text: str
    lines: list[str]


def commands_of(block: str) -> Iterator[Command]:
    """Yield the commands of a block `console`."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        text, _, output = re.sub(r"\\\n\s*", "", part).partition("\n")
        lines = [line for line in output.splitlines() if line.strip() not in {"", "…"}]
        yield Command(text, lines)


def plain(line: str) -> str:
    """Return a line with one sign for every number, and single spaces."""
    return " ".join(NUMBER.sub("#", line).split())


def missing_line(lines: list[str], output: str) -> str | None:
    """Return the first line that is not in the output after those before it, if there is one."""
    rest = iter([plain(line) for line in output.splitlines()])
    return next((line for line in lines if not any(plain(line) == found for found in rest)), None)


def environment(folder: Path) -> dict[str, str]:
    """Return variables with which the commands of this environment and plug-ins are found."""
    paths = [str(folder / PLUGINS), os.environ.get("PYTHONPATH", "")]
    own = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "NO_COLOR": "1", "COLUMNS": "200"}
    return {
        **os.environ,
        **own,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def run_command(command: Command, folder: Path) -> None:
    """Run a command, and check its output.

    Packages are installed into a folder of the tutorial, and their dependencies are not.

    Raises:
        RuntimeError: It failed, or a line is missing.
    """
    install = f"pip install --quiet --no-deps --no-build-isolation --target {PLUGINS} "
    text = re.sub(r"^pip install ", install, command.text)
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", text],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command.text}\nexit code {done.returncode}:\n{done.stdout}")
    if (line := missing_line(command.lines, done.stdout)) is not None:
        raise RuntimeError(f"{command.text}\nno line {line!r} in:\n{done.stdout}")


def run_page(page: Path, folder: Path) -> dict[str, Path]:
    """Run a tutorial in an empty folder; return the paths of its pictures by name.

    Raises:
        RuntimeError: A command failed, a line of its output is missing, or a picture.
    """
    pictures = {}
    for step in STEP.finditer(page.read_text(encoding="utf-8")):
        if step["file"]:
            path = folder / step["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step["text"], encoding="utf-8")
        elif step["commands"]:
            for command in commands_of(step["commands"]):
                run_command(command, folder)
        elif not (made := folder / step["source"]).is_file():
            raise RuntimeError(f"{page.name}: no picture {step['source']}")
        else:
            pictures[step["picture"]] = made
    return pictures


def main(names: list[str]) -> None:
    """Run tutorials, all by default, and copy their pictures next to the pages."""
    for page in sorted(PAGES.glob("*.md")):
        if not names or page.stem in names:
            with tempfile.TemporaryDirectory() as folder:
                for name, made in run_page(page, Path(folder)).items():
                    shutil.copy(made, PAGES / name)


if __name__ == "__main__":
    main(sys.argv[1:])
