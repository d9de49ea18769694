"""Figures have the same bytes whenever they are drawn."""

from matplotlib.figure import Figure

from ectool.reports.paper.style import (
    PaperFigure,
    file_contents,
    paper_style,
    with_numbered_clips,
)

DRAWING = b'<g clip-path="url(#%(a)b)"/><g clip-path="url(#%(b)b)"/><clipPath id="%(b)b"/>'


def test_names_of_clipping_paths_do_not_depend_on_their_hashes():
    drawings = [
        with_numbered_clips(DRAWING % {b"a": first, b"b": second})
        for first, second in ((b"pe5667a9439", b"pdcdffba076"), (b"p0123456789", b"pabcdefabcd"))
    ]
    assert drawings[0] == drawings[1]
    assert drawings[0] == DRAWING % {b"a": b"clip0", b"b": b"clip1"}


def test_every_clipping_path_of_a_figure_is_numbered():
    with paper_style():
        figure = Figure(figsize=(2, 2))
        for axes in figure.subplots(1, 2):
            axes.plot([0, 1], [0, 1])
        drawing = file_contents(PaperFigure("two", "", figure))["two.svg"].decode()
    assert drawing.count("<clipPath id=") == 2
    for number in (0, 1):
        assert f'<clipPath id="clip{number}">' in drawing
        assert f"url(#clip{number})" in drawing
    assert "url(#p" not in drawing
