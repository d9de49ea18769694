"""Both suites from their parts: metrics, tables, what is kept and what is computed again."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.partial import PartialArtifact
from ectool.artifacts.store import read_manifest
from ectool.config import EvaluateConfig
from ectool.stages.common.found_models import find_model
from ectool.stages.evaluate.definitions import describe
from ectool.stages.evaluate.one_model import open_variants
from ectool.stages.evaluate.suites.base import Resampling
from ectool.stages.evaluate.suites.classification.suite import PREDICTED
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.parts import Subject
from ectool.stages.evaluate.suites.sanity import suite as sanity
from ectool.stages.evaluate.suites.sanity.work import SanityWork
from ectool.stages.evaluate.suites.stability import suite as stability
from ectool.stages.evaluate.suites.stability.work import StabilityWork
from ectool.types import SILENT

SUBSET = 12
LAYERS = ["head", "features.9", "features.6", "features.3", "features.0"]


@pytest.fixture(scope="module")
def make(model, few_options):
    """Return a function that makes the parts of both suites, and how often each was computed."""

    def make_all(output, reporter, **options):
        given = {"model": str(model), "output": output, "subset": SUBSET, "shard_size": 8}
        given |= {"explainers": ("layercam",), **few_options}
        config = EvaluateConfig(**{**given, **options})
        with Subject(config, find_model(config), open_variants(config, reporter), reporter) as s:
            parts = (PREDICTED, *sanity.SUITE.parts(s), *stability.SUITE.parts(s))
            return config, {
                part.file: (part.make(s, s.path(part.file)).path, part.kind) for part in parts
            }

    return make_all


@pytest.fixture(scope="module")
def made(make, tmp_path_factory):
    return make(tmp_path_factory.mktemp("suites") / "eval", SILENT)


def measured(made):
    config, parts = made
    artifacts = {file: Artifact(*found) for file, found in parts.items()}
    return Evaluated(("original",), artifacts, config.keyed(), tuple("0123456789"))


@pytest.fixture(scope="module")
def evaluated(made):
    return measured(made)


def test_each_part_is_of_the_subset_alone(evaluated):
    for file in (sanity.SANITY, stability.STABILITY, "agreement/layercam.zarr"):
        assert len(evaluated.parts[file]) == SUBSET


def test_sanity_is_read_off_its_last_step_and_averaged_over_blocks(evaluated, read):
    arrays = read(evaluated.parts[sanity.SANITY].path)
    columns = sanity.SUITE.columns(evaluated)
    order = [evaluated.sample_ids.index(name) for name in arrays["sample_id"].tolist()]
    last = arrays["5-features.0/cascading/rank_correlation"]
    np.testing.assert_allclose(columns["sanity_cascading"][order], last)
    steps = [f"{n}-{layer}/independent/rank_correlation" for n, layer in enumerate(LAYERS, 1)]
    expected = np.mean([arrays[step] for step in steps], axis=0)
    np.testing.assert_allclose(columns["sanity_independent"][order], expected, rtol=1e-6)
    others = np.setdiff1d(np.arange(30), order)
    assert all(np.isnan(column[others]).all() for column in columns.values())


def test_the_table_of_sanity_goes_from_the_head_to_the_input(evaluated):
    lines = sanity.SUITE.tables(evaluated, Resampling(50, 0))["sanity"]
    assert len(lines) == 2 * 2 * len(LAYERS)
    for mode in ("cascading", "independent"):
        found = [n["layer"] for n in lines if (n["mode"], n["similarity"]) == (mode, "ssim")]
        assert found == LAYERS
    assert all(line["low"] <= line["value"] <= line["high"] for line in lines)
    first = {line["mode"]: line for line in lines if line["layer"] == "head"}
    assert first["cascading"]["value"] == first["independent"]["value"]


def test_the_worst_consistency_is_the_lesser_of_both_attacks(evaluated):
    columns = stability.SUITE.columns(evaluated)
    attacked = evaluated.read(stability.STABILITY, "consistency_attack")
    for row in np.flatnonzero(~np.isnan(attacked)):
        both = columns["explanation_consistency"][row], float(attacked[row])
        worst = columns["consistency_worst"][row]
        assert worst == (
            min(both) if not np.isnan(both).any() else pytest.approx(np.nan, nan_ok=True)
        )
    assert (~np.isnan(columns["explanation_consistency"])).sum() > SUBSET


def test_consistency_is_the_product_of_its_two_parts(evaluated, read):
    columns = stability.SUITE.columns(evaluated)
    product = columns["heatmap_similarity"] * columns["prediction_stability"]
    np.testing.assert_allclose(columns["explanation_consistency"], product, rtol=1e-6)
    arrays = read(evaluated.parts["weights.zarr"].path)
    np.testing.assert_array_equal(columns["heatmap_similarity"], arrays["similarity"])


def test_consistency_is_cosine_times_the_softened_probability(evaluated, read):
    arrays = read(evaluated.parts["cams.zarr"].path)
    found = stability.SUITE.columns(evaluated)["explanation_consistency"]
    rows = [arrays[name] for name in ("clean", "adversarial", "logits_adversarial", "label")]
    for name, *both, logits, label in zip(arrays["sample_id"], *rows, strict=True):
        one, other = (maps.astype(float) for maps in both)
        lengths = np.linalg.norm(one) * np.linalg.norm(other)
        powers = np.exp(logits.astype(float) / 2)
        # Two empty heatmaps have no similarity, and one of them has none with another.
        alike = (one * other).sum() / lengths if lengths else 0.0 if (one + other).any() else np.nan
        expected = pytest.approx(alike * powers[label] / powers.sum(), abs=1e-5, nan_ok=True)
        assert found[evaluated.sample_ids.index(name)] == expected


@pytest.mark.slow
def test_heatmaps_of_another_method_or_layer_are_compared_on_the_same_samples(
    made, make, listener, tmp_path
):
    output = shutil.copytree(made[0].output, tmp_path / "eval")
    make(output, listener, method="layercam", layer=("features.6",))
    assert read_manifest(output / "adv.zarr").id == read_manifest(made[0].output / "adv.zarr").id
    assert [path.name.split(".old")[0] for path in output.glob("c*.old-*")] == ["cams.zarr"]


def test_the_table_of_consistency_has_spread_and_correlation(evaluated):
    columns = stability.SUITE.columns(evaluated)
    lines = stability.SUITE.tables(evaluated, Resampling(50, 0))["consistency"]
    names = ["explanation_consistency", "heatmap_similarity", "prediction_stability"]
    assert [line["part"] for line in lines] == names
    known = ~np.isnan(columns["explanation_consistency"])
    for line in lines:
        values = columns[line["part"]]
        assert line["value"] == pytest.approx(np.nanmean(values))
        assert line["std"] == pytest.approx(np.nanstd(values))
        pair = columns["explanation_consistency"][known], values[known]
        assert line["correlation"] == pytest.approx(np.corrcoef(*pair)[0, 1])
        assert line["low"] <= line["value"] <= line["high"]


def test_agreement_has_every_similarity(evaluated):
    columns = stability.SUITE.columns(evaluated)
    lines = stability.SUITE.tables(evaluated, Resampling(50, 0))["agreement"]
    assert [line["similarity"] for line in lines] == ["rank_correlation", "ssim", "top_iou"]
    assert lines[0]["value"] == pytest.approx(np.nanmean(columns["agreement@layercam"]))


def test_every_metric_has_a_definition(evaluated):
    names = [*sanity.SUITE.columns(evaluated), *stability.SUITE.columns(evaluated)]
    assert len(names) == 10
    assert all(describe(name).definition for name in names)
    lower = {name for name in names if not describe(name).higher_is_better}
    assert lower == {"sanity_cascading", "sanity_independent", "sensitivity_max"}


def test_without_parts_there_are_no_metrics(evaluated):
    bare = Evaluated((), {PREDICTED.file: evaluated.predictions}, {}, ())
    for suite in (sanity.SUITE, stability.SUITE):
        assert suite.columns(bare) == {}
        assert suite.tables(bare, Resampling(50, 0)) == {}


def test_a_further_method_computes_its_own_part_alone(made, make, listener, tmp_path):
    output = shutil.copytree(made[0].output, tmp_path / "eval")
    methods = ("layercam", "attention-rollout", "hirescam")
    again = make(output, listener, explainers=methods)
    assert listener.tasks == [("evaluate", SUBSET)] * 2
    assert any("without agreement@attention-rollout" in note for note in listener.notes)
    columns = stability.SUITE.columns(measured(again))
    found = {name for name in columns if name.startswith("agreement@")}
    assert found == {"agreement@layercam", "agreement@hirescam"}
    listener.tasks.clear()
    make(output, listener, explainers=methods)
    assert listener.tasks == []


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(sanity.SANITY, marks=pytest.mark.slow),
        stability.STABILITY,
        "agreement/layercam.zarr",
    ],
)
def test_an_interrupted_part_goes_on_to_the_same_bytes(
    file, made, make, listener, tmp_path, tree, monkeypatch
):
    output = shutil.copytree(made[0].output, tmp_path / "eval")
    shutil.rmtree(output / file)
    write = PartialArtifact.write

    def stop_after_one(self, number, *rest):
        if number == 1:
            raise KeyboardInterrupt
        write(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(PartialArtifact, "write", stop_after_one)
        with pytest.raises(KeyboardInterrupt):
            make(output, listener)
    listener.notes.clear()
    make(output, listener)
    assert any("4 of 12 samples left" in note for note in listener.notes)
    assert tree(output / file) == tree(made[0].output / file)


def test_the_bootstrap_determines_no_part(made, make, listener, tmp_path):
    output = shutil.copytree(made[0].output, tmp_path / "eval")
    make(output, listener, bootstrap=200)
    assert listener.tasks == []


@pytest.mark.parametrize("options", [{"seed": 1}, {"method": "hirescam"}])
def test_what_determines_a_part_is_in_its_key(options, made, listener, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt  # a computation has begun: its values do not matter

    monkeypatch.setattr(SanityWork, "compute", stop)
    monkeypatch.setattr(StabilityWork, "compute", stop)
    output = shutil.copytree(made[0].output, tmp_path / "eval")
    config = made[0].model_copy(update={**options, "output": output})
    with Subject(config, find_model(config), open_variants(config, listener), listener) as subject:
        parts = {part.file: part for part in (*sanity.parts(subject), *stability.parts(subject))}
        for file in (sanity.SANITY, stability.STABILITY):
            with pytest.raises(KeyboardInterrupt):
                parts[file].make(subject, subject.path(file))
            assert len(list(output.glob(f"{file}.old-*"))) == 1
