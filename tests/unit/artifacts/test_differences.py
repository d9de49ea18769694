"""What differs between two recipes: in words, and exactly when their keys differ."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectool.artifacts.differences import described, differences
from ectool.artifacts.manifest import DataSource, Parent, Recipe, make_manifest


def changed(recipe, config=None, parents=(), source=None):
    """Return a recipe with other options, ids of parents, and facts of the data."""
    ids = dict(parents)
    new = [one.model_copy(update={"id": ids.pop(one.role, one.id)}) for one in recipe.parents]
    new += [Parent(role=role, kind="samples", id=id, path=f"../{role}") for role, id in ids.items()]
    update = {"config": {**recipe.config, **(config or {})}, "parents": tuple(new)}
    return recipe.model_copy(
        update={**update, "source": recipe.source.model_copy(update=source or {})}
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"config": {"seed": 4}}, ["seed: 3 → 4"]),
        ({"config": {"layer": "a.1", "eps": 8 / 255}}, ["eps: none → 8/255", "layer: none → a.1"]),
        ({"config": {"layer": ["a", "b"]}}, ["layer: none → a,b"]),
        ({"config": {"variants": {"original": "1"}}}, ["variants differ"]),
        ({"config": {"shares": [number / 32 for number in range(32)]}}, ["shares differ"]),
        ({"parents": {"model": "x"}}, ["weights of the model differ"]),
        ({"parents": {"samples": "x"}}, ["samples: none → ../samples"]),
        ({"source": {"fingerprint": "1"}}, ["images or labels of digits differ"]),
        ({"source": {"fingerprint": "1", "data": "letters"}}, ["data: digits → letters"]),
        ({"source": {"fingerprint": "1", "split": "test"}}, ["split: train → test"]),
        ({"source": {"data": "zarr:copy.zarr"}}, []),
    ],
)
def test_differences_are_named(recipe, change, words):
    assert list(differences(recipe, changed(recipe, **change))) == words


def test_an_option_of_the_data_is_named_once(recipe):
    before = changed(recipe, {"rho": 0.5})
    source = {"fingerprint": "1", "options": {"size": 224, "rho": 0.7}}
    assert list(differences(before, changed(recipe, {"rho": 0.7}, source=source))) == [
        "rho: 0.5 → 0.7"
    ]


def test_a_message_shows_few_of_many(recipe):
    found = make_manifest(recipe)
    many = changed(recipe, {f"option{number}": number for number in range(9)})
    assert described(found, many) == (
        "another one (option0: none → 0, option1: none → 1, option2: none → 2, option3: none → 3, "
        "and 5 more)"
    )
    assert described(None, recipe) == "something without a manifest"
    other = recipe.model_copy(update={"kind": "weights"})
    assert described(found, other) == "an artifact of kind heatmaps, not weights"


NAMES, TEXTS = st.sampled_from(["a", "b", "c"]), st.sampled_from(["", "1", "2"])
SOURCES = st.none() | st.builds(
    DataSource,
    data=TEXTS,
    split=TEXTS,
    options=st.fixed_dictionaries({"size": TEXTS}),
    fingerprint=TEXTS,
)
RECIPES = st.builds(
    Recipe,
    kind=st.just("heatmaps"),
    stage=TEXTS,
    config=st.dictionaries(NAMES, TEXTS | st.lists(TEXTS, min_size=1, max_size=2)),
    parents=st.dictionaries(NAMES, TEXTS).map(
        lambda ids: tuple(Parent(role=r, kind="model", id=i, path=r) for r, i in ids.items())
    ),
    source=SOURCES,
)


@given(before=RECIPES, after=RECIPES)
def test_they_exist_exactly_if_the_keys_differ(before, after):
    assert bool(list(differences(before, after))) == (before.key != after.key)
