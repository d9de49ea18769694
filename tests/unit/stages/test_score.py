"""Scores against their definition, redone slowly from the heatmaps artifact."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.store import read_manifest
from ectool.config import ScoreConfig
from ectool.errors import InputError, IntegrityError, OutputExistsError
from ectool.stages import score
from ectool.types import Outcome


@pytest.fixture
def outcome(heatmaps, tmp_path):
    """Score the heatmaps into a fresh folder."""

    def run(name="weights.zarr", reporter=None, **options):
        config = ScoreConfig(**{"heatmaps": heatmaps, "output": tmp_path / name, **options})
        return score.run(config, reporter) if reporter else score.run(config)

    return run


@pytest.fixture
def assess(outcome):
    """Score the heatmaps; return the path of the weights."""
    return lambda *arguments, **given: outcome(*arguments, **given).path


def cosine(one, other):
    one, other = one.astype(float).ravel().tolist(), other.astype(float).ravel().tolist()
    norms = [math.sqrt(sum(x * x for x in values)) for values in (one, other)]
    if norms == [0, 0]:
        return math.nan
    return sum(x * y for x, y in zip(one, other, strict=True)) / (norms[0] * norms[1] or math.inf)


def softmax(logits, label):
    powers = [math.exp(x - max(logits)) for x in logits]
    return powers[label] / sum(powers)


def raw_weights(consistency, gamma):
    """Return (1 - E) ** gamma of mean 1 over the samples that have an E, and 1 for the others."""
    powers = np.array([(1 - e) ** gamma for e in consistency])
    return np.where(np.isnan(powers), 1, powers / np.nanmean(powers))


def test_every_score_and_weight_is_its_definition(assess, heatmaps, read):
    maps, found = read(heatmaps), read(assess(gamma=1.5))
    consistency = []
    for row in range(200):
        alike = cosine(maps["clean"][row], maps["adversarial"][row])
        halves = maps["logits_adversarial"][row].astype(float) / 2
        stable = softmax(halves.tolist(), maps["label"][row])
        assert found["similarity"][row] == pytest.approx(alike, abs=1e-6, nan_ok=True)
        assert found["stability"][row] == pytest.approx(stable, rel=1e-5)
        consistency.append(alike * stable)
    assert np.isfinite(consistency).sum() > 190
    np.testing.assert_allclose(found["explanation_consistency"], consistency, rtol=1e-5)
    np.testing.assert_allclose(found["weight"], raw_weights(consistency, 1.5), rtol=1e-4)
    assert found["sample_id"].tolist() == maps["sample_id"].tolist()
    assert found["weight"].mean() == pytest.approx(1, abs=1e-6)


def test_other_choices_change_the_scores(assess, read):
    plain = read(assess())
    for name, options in enumerate(
        ({"similarity": "pearson"}, {"stability": "none"}, {"gamma": 0.5}, {"cap": 1.01})
    ):
        other = read(assess(f"{name}.zarr", **options))
        assert (other["weight"] != plain["weight"]).any()
    assert (read(assess("5.zarr", stability="none"))["stability"] == 1).all()


def test_both_formats_hold_the_same(assess, read):
    one, other = read(assess("a.zarr")), read(assess("a.h5"))
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


def test_weights_lie_next_to_the_heatmaps_by_default(heatmaps, tmp_path):
    default = ScoreConfig(heatmaps=tmp_path / "cams.h5")
    assert score.weights_path(default) == tmp_path / "weights.h5"
    given = ScoreConfig(heatmaps=heatmaps, output=tmp_path / "w.zarr")
    assert score.weights_path(given) == tmp_path / "w.zarr"


class TestMomentum:
    def test_the_last_rounds_weights_are_joined_by_id(
        self, assess, heatmaps, read, write, tmp_path
    ):
        plain = read(assess("plain.zarr"))
        order = np.random.default_rng(0).permutation(200)
        last = {name: values[order] for name, values in plain.items()}
        last["weight"] = np.linspace(0.5, 1.5, 200, dtype=np.float32)
        previous = write(tmp_path / "last.zarr", "weights", last)
        found = read(assess(previous=previous, momentum=0.25))
        before = dict(zip(last["sample_id"].tolist(), last["weight"].tolist(), strict=True))
        for row, name in enumerate(plain["sample_id"].tolist()):
            expected = 0.25 * before[name] + 0.75 * plain["weight"][row]
            assert found["weight"][row] == pytest.approx(expected, rel=1e-5)
        np.testing.assert_array_equal(found["similarity"], plain["similarity"])

    def test_one_keeps_the_first_weights(self, assess, read):
        first = assess("first.zarr")
        kept = read(assess("kept.zarr", previous=first, momentum=1, gamma=3))
        np.testing.assert_allclose(kept["weight"], read(first)["weight"], rtol=1e-5)

    def test_they_change_the_key_and_are_a_parent(self, assess):
        first = assess("first.zarr")
        manifest = read_manifest(assess(previous=first))
        assert manifest.key != read_manifest(first).key
        assert [parent.role for parent in manifest.recipe.parents] == ["heatmaps", "previous"]

    def test_a_sample_they_miss_is_named(self, assess, read, write, tmp_path):
        arrays = {name: values[1:] for name, values in read(assess("first.zarr")).items()}
        previous = write(tmp_path / "last.zarr", "weights", arrays)
        message = (
            "last.zarr: expected all 200 samples, got 1 missing, the first 'digits/validation/0000"
        )
        with pytest.raises(InputError, match=message):
            assess(previous=previous)

    def test_a_sample_they_hold_twice_is_named(self, assess, read, write, tmp_path):
        arrays = read(assess("first.zarr"))
        arrays["sample_id"][5] = arrays["sample_id"][7]
        previous = write(tmp_path / "last.zarr", "weights", arrays)
        with pytest.raises(
            InputError, match="every sample once, got 'digits/validation/0007' twice"
        ):
            assess(previous=previous)


class TestInputs:
    def test_pairs_are_needed(self, assess, heatmaps, read, write, tmp_path):
        arrays = read(heatmaps)
        del arrays["adversarial"]
        clean = write(tmp_path / "clean.zarr", "heatmaps", arrays)
        with pytest.raises(
            InputError, match=r"adversarial: expected heatmaps of clean and pert.*got clean"
        ):
            assess(heatmaps=clean)

    def test_a_sample_that_is_there_twice_is_named(self, assess, heatmaps, read, write, tmp_path):
        arrays = read(heatmaps)
        arrays["sample_id"][5] = arrays["sample_id"][7]
        twice = write(tmp_path / "cams.zarr", "heatmaps", arrays)
        with pytest.raises(
            InputError, match="every sample once, got 'digits/validation/0007' twice"
        ):
            assess(heatmaps=twice)

    def test_other_artifacts_are_refused(self, assess, samples, model):
        with pytest.raises(InputError, match="expected a heatmaps artifact, got schema 'samples'"):
            assess(heatmaps=samples)
        with pytest.raises(InputError, match=r"expected a name that ends in \.zarr"):
            assess(heatmaps=model)

    def test_pairs_of_zero_maps_are_undefined_counted_and_weigh_one(
        self, assess, heatmaps, read, write, tmp_path
    ):
        arrays = read(heatmaps)
        arrays["clean"] += np.float16(0.5)
        arrays["adversarial"] += np.float16(0.5)
        arrays["clean"][[3, 4, 9]] = 0
        arrays["adversarial"][[3, 9]] = 0
        output = assess(heatmaps=write(tmp_path / "cams.zarr", "heatmaps", arrays))
        found = read(output)
        assert np.flatnonzero(np.isnan(found["similarity"])).tolist() == [3, 9]
        assert np.isnan(found["explanation_consistency"][[3, 9]]).all()
        assert found["similarity"][4] == 0
        np.testing.assert_allclose(found["weight"][[3, 9]], 1)
        assert read_manifest(output).all_findings()["undefined_similarity"] == 2


def test_findings_tell_of_the_cap_and_the_floor(assess, read):
    manifest = read_manifest(assess("cap.zarr", cap=1.1, gamma=4, floor=0))
    weight = read(assess("cap.zarr", cap=1.1, gamma=4, floor=0))["weight"].astype(float)
    findings = manifest.all_findings()
    assert findings["capped_weights"] == (np.abs(weight - 1.1) < 1e-6).sum() > 0
    assert findings["effective_sample_size"] == pytest.approx(
        weight.sum() ** 2 / (weight**2).sum(), abs=1e-2
    )
    flat = read_manifest(assess("floor.zarr", gamma=8, floor=0.99)).all_findings()
    assert flat["effective_sample_size"] >= 0.99 * 200 - 1e-2
    assert 0 < flat["flattened"] < 1


class TestParts:
    """Similarity and stability are told apart, in the findings and on stderr."""

    def test_findings_hold_mean_and_spread_of_each(self, assess, heatmaps, read, listener):
        path = assess(reporter=listener)
        scores, findings = read(path), read_manifest(path).all_findings()
        for name in ("similarity", "stability", "explanation_consistency", "weight"):
            assert findings[f"{name}_mean"] == pytest.approx(np.nanmean(scores[name]), abs=1e-5)
            assert findings[f"{name}_std"] == pytest.approx(np.nanstd(scores[name]), abs=1e-5)
        maps = read(heatmaps)
        wrong = maps["logits_adversarial"].argmax(axis=1) != maps["label"]
        assert findings["misclassified_samples"] == wrong.sum()
        (note,) = listener.notes
        assert note.startswith(f"{path}: heatmap similarity {findings['similarity_mean']:.4f} ±")

    def test_weights_without_spread_are_a_warning(self, outcome, heatmaps, read, write, tmp_path):
        arrays = read(heatmaps)
        wrong = np.where(np.arange(10) == (arrays["label"][:, None] + 1) % 10, 60, 0)
        arrays["logits_adversarial"] = wrong.astype(np.float32)
        found = outcome(heatmaps=write(tmp_path / "cams.zarr", "heatmaps", arrays))
        (one,) = found.findings
        text = str(one)
        assert one.name == "no-spread"
        assert text.startswith(f"{found.path}: explanation consistency has no spread")
        assert "200 of 200 samples are misclassified after the attack; lower --eps" in text


class TestOutput:
    def test_again_does_nothing_another_key_needs_force(
        self, assess, outcome, listener, tree, tmp_path
    ):
        output = assess()
        before = [path.stat().st_mtime_ns for path in sorted(output.rglob("*"))]
        assert outcome(reporter=listener) == Outcome(output, is_new=False)
        assert (listener.notes, listener.tasks) == ([], [])
        with pytest.raises(OutputExistsError, match="--force to move it aside"):
            assess(gamma=3)
        assert [path.stat().st_mtime_ns for path in sorted(output.rglob("*"))] == before
        old = tree(output)
        assess(gamma=3, force=True)
        (aside,) = tmp_path.glob("weights.zarr.old-*")
        assert tree(aside) == old

    def test_a_damaged_shard_is_computed_again(self, assess, listener, tree, flip):
        output = assess(shard_size=50)
        before = tree(output)
        flip(output / "weight/c/2", 20)
        with (
            Artifact(output) as artifact,
            pytest.raises(IntegrityError, match="shard 2 of `weight`"),
        ):
            artifact.read("weight")
        assess(shard_size=50, resume=True, reporter=listener)
        assert "computing damaged shards [2] again" in listener.notes[0]
        assert tree(output) == before
