from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont

from ectool.datasets.generated import letter_outlines as module
from ectool.datasets.generated.letter_outlines import (
    LETTERS,
    TYPEFACES,
    flatten,
    load_outlines,
)
from ectool.errors import IntegrityError


def test_no_typeface_is_in_two_splits():
    names = [name for typefaces in TYPEFACES.values() for name in typefaces]
    assert len(names) == len(set(names)) == 22
    assert set(load_outlines()) == set(names)


def area(outline):
    x0, y0, x1, y1 = outline.T
    return float(np.sum(x0 * y1 - x1 * y0) / 2)


@pytest.mark.parametrize("name", load_outlines())
def test_letters_are_closed_and_one_unit_high(name):
    for outline in load_outlines()[name]:
        points = outline.reshape(-1, 2)
        np.testing.assert_allclose(points.min(0) + points.max(0), 0, atol=1e-12)
        assert np.ptp(points[:, 1]) == pytest.approx(1)
        starts, ends = ({tuple(p) for p in half} for half in (outline[:, :2], outline[:, 2:]))
        assert starts == ends
        assert 0.05 < abs(area(outline)) < 0.8


def peer(name, letter):
    """Read a letter with fontTools, and flatten its quadratic splines."""
    font = TTFont(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf")
    glyphs = font.getGlyphSet()
    pen = DecomposingRecordingPen(glyphs)
    glyphs[font.getBestCmap()[ord(letter)]].draw(pen)
    points = []
    for verb, arguments in pen.value:
        if verb == "qCurveTo":
            *controls, end = (np.array(point, float) for point in arguments)
            middles = [(a + b) / 2 for a, b in pairwise(controls)]
            here = points[-1]
            for control, stop in zip(controls, [*middles, end], strict=True):
                for t in np.arange(1, 9) / 8:
                    mixed = (1 - t) ** 2 * here + 2 * t * (1 - t) * control + t * t * stop
                    points.append(mixed)
                here = stop
        else:
            points += [np.array(point, float) for point in arguments]
    return np.array(points)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["DejaVuSerif-Italic", "STIXGeneralBol", "cmr10"])
@pytest.mark.parametrize("letter", ["A", "R", "S"])
def test_outlines_are_those_that_fonttools_reads(name, letter):
    ours = load_outlines()[name][LETTERS.index(letter)]
    theirs = peer(name, letter)
    low, high = theirs.min(0), theirs.max(0)
    scaled = (theirs - (low + high) / 2) / (high - low)[1] * (1, -1)
    for mine, theirs_to_ours in ((ours[:, :2], scaled), (scaled, ours[:, :2])):
        distance = np.abs(mine[:, None] - theirs_to_ours[None]).max(2).min(1)
        # FreeType rounds points between two control points to whole units.
        assert distance.max() < 1.0 / 600


def test_a_curve_becomes_eight_segments():
    points = np.array([[0, 0], [4, 0], [4, 8], [0, 0]], float)
    outline = flatten(points, [1, 3, 3, 79])
    assert outline.shape == (9, 4)
    for t, (x, y) in zip(np.arange(1, 9) / 8, outline[:8, 2:], strict=True):
        assert (x, y) == (2 * t * (1 - t) * 4 + t * t * 4, t * t * 8)
    np.testing.assert_array_equal(outline[8], [4, 8, 0, 0])


def test_other_typefaces_are_refused(monkeypatch):
    load_outlines.cache_clear()
    monkeypatch.setattr(module, "OUTLINES_SHA256", "0" * 64)
    with pytest.raises(IntegrityError, match="matplotlib's typefaces: expected SHA-256 000"):
        load_outlines()
    monkeypatch.undo()
    load_outlines()
