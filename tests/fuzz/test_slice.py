"""A part of the hostile inputs, the same in every run; `make fuzz` tries many more."""

from __future__ import annotations

from fuzz.cases import Case
from fuzz.corpus import make_corpus
from fuzz.kinds.light import LIGHT
from fuzz.runner import Workplace
from fuzz.together import failures

COUNT = 300


def test_hostile_inputs(zygote_socket, tmp_path):
    place = Workplace(tmp_path, zygote_socket)
    make_corpus(place, ["light"])
    kinds = sorted(LIGHT)
    cases = [Case(kinds[n % len(kinds)], 0, n // len(kinds)) for n in range(COUNT)]
    assert failures(place, LIGHT, cases) == []
