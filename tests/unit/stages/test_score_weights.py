"""Weights recomputed by their definition, from maps and logits to cap and floor."""

import math

import numpy as np
import pytest

from ectool.artifacts.store import read_manifest
from ectool.config import ScoreConfig
from ectool.errors import InputError
from ectool.scores.similarity import SIMILARITIES
from ectool.stages import score

N, CLASSES = 20, 3
BOTH_ZERO, ONE_ZERO = 4, 9


def text(ids):
    return np.array(list(ids), dtype=np.dtypes.StringDType())


@pytest.fixture(scope="module")
def arrays():
    """Heatmap pairs that range from unlike to alike, one undefined and one half zero."""
    generator = np.random.default_rng(0)
    clean, other = generator.random((2, N, 4, 5))
    share = np.linspace(0, 1, N)[:, None, None]
    maps = np.stack([clean, share * clean + (1 - share) * other**4]).astype(np.float16)
    maps[:, BOTH_ZERO], maps[1, ONE_ZERO] = 0, 0
    logits = generator.normal(0, 3, (2, N, CLASSES)).astype(np.float32)
    label = generator.integers(0, CLASSES, N)
    return {
        "sample_id": text(f"sample/{row}" for row in range(N)),
        "label": label,
        "target": label,
        "clean": maps[0],
        "adversarial": maps[1],
        "logits_clean": logits[0],
        "logits_adversarial": logits[1],
    }


@pytest.fixture(scope="module")
def pairs(write, arrays, tmp_path_factory):
    return write(tmp_path_factory.mktemp("pairs") / "cams.zarr", "heatmaps", arrays)


@pytest.fixture
def make(pairs, tmp_path):
    def run(name="weights.zarr", **given):
        return score.run(
            ScoreConfig(**{"heatmaps": pairs, "output": tmp_path / name, **given})
        ).path

    return run


@pytest.fixture
def last_round(write, tmp_path):
    """Write the weights of an earlier round."""

    def write_one(ids, weight, name="previous.zarr"):
        unknown = np.full(len(ids), np.nan, np.float32)
        scores = dict.fromkeys(("similarity", "stability", "explanation_consistency"), unknown)
        values = {"sample_id": text(ids), **scores, "weight": np.asarray(weight, np.float32)}
        return write(tmp_path / name, "weights", values)

    return write_one


def cosine(a, b):
    """Cosine of two maps, pixel by pixel; None where both show nothing."""
    pairs = list(zip(a.flatten().tolist(), b.flatten().tolist(), strict=True))
    lengths = math.sqrt(sum(x * x for x, _ in pairs)), math.sqrt(sum(y * y for _, y in pairs))
    if not any(lengths):
        return None
    return sum(x * y for x, y in pairs) / math.prod(lengths) if all(lengths) else 0.0


def softmax(logits):
    powers = [math.exp(value) for value in logits.tolist()]
    return [power / sum(powers) for power in powers]


def overlap(before, after):
    return sum(min(x, y) for x, y in zip(softmax(before), softmax(after), strict=True))


def consistencies(arrays):
    """E of every sample, None where it is undefined."""
    found = []
    for row, label in enumerate(arrays["label"]):
        alike = cosine(arrays["clean"][row], arrays["adversarial"][row])
        stable = softmax(arrays["logits_adversarial"][row] / 2)[label]
        found.append(None if alike is None else alike * stable)
    return found


def effective(weights):
    return sum(weights) ** 2 / sum(weight**2 for weight in weights)


def bisect(low, high, is_below):
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return low


def weigh(consistency, gamma, cap, floor, previous=None, momentum=0.0):
    """Weights by definition; the scale under the cap and the flattening found by bisection."""
    n = len(consistency)
    powers = [None if e is None else (1 - e) ** gamma for e in consistency]
    known = [power for power in powers if power is not None]
    weights = [1.0 if p is None else p * len(known) / sum(known) for p in powers]
    if previous is not None:
        both = zip(previous, weights, strict=True)
        weights = [momentum * old + (1 - momentum) * new for old, new in both]
    scale = bisect(0, 1e6, lambda s: sum(min(s * w, cap) for w in weights) < n)
    weights = [min(scale * w, cap) for w in weights]
    if effective(weights) >= floor * n:
        return weights

    def mixed(share):
        return [(1 - share) * w + share for w in weights]

    return mixed(bisect(0, 1, lambda share: effective(mixed(share)) < floor * n))


class TestScores:
    def test_follow_their_definitions(self, make, arrays, read):
        found = read(make(shard_size=6))
        assert found["sample_id"].tolist() == arrays["sample_id"].tolist()
        expected = [math.nan if e is None else e for e in consistencies(arrays)]
        np.testing.assert_allclose(found["explanation_consistency"], expected, atol=1e-6)
        assert np.flatnonzero(np.isnan(found["similarity"])).tolist() == [BOTH_ZERO]
        assert found["similarity"][ONE_ZERO] == 0
        assert all(found[name].dtype == np.float32 for name in found if name != "sample_id")

    @pytest.mark.parametrize("name", SIMILARITIES)
    def test_similarity_can_be_chosen(self, name, make, arrays, read):
        expected = SIMILARITIES[name](arrays["clean"], arrays["adversarial"])
        np.testing.assert_array_equal(read(make(similarity=name))["similarity"], expected)

    @pytest.mark.parametrize(
        ("name", "definition"),
        [
            ("probability", lambda before, after, label: softmax(after)[label]),
            ("softened", lambda before, after, label: softmax(after / 2)[label]),
            ("correct", lambda before, after, label: before.argmax() == after.argmax() == label),
            ("total-variation", lambda before, after, label: overlap(before, after)),
            ("none", lambda before, after, label: 1),
        ],
    )
    def test_stability_can_be_chosen(self, name, definition, make, arrays, read):
        columns = (arrays[n] for n in ("logits_clean", "logits_adversarial", "label"))
        expected = np.array([definition(*row) for row in zip(*columns, strict=True)], float)
        np.testing.assert_allclose(read(make(stability=name))["stability"], expected, atol=1e-6)


class TestWeights:
    @pytest.mark.parametrize(
        "options",
        [
            {"gamma": 1, "cap": 10, "floor": 0.5},
            {"gamma": 0, "cap": 10, "floor": 0.5},
            {"gamma": 3, "cap": 1.5, "floor": 0},
            {"gamma": 4, "cap": 10, "floor": 0.95},
            {"gamma": 2, "cap": 1, "floor": 0},
        ],
    )
    def test_follow_their_definition(self, options, make, arrays, read):
        weight = read(make(**options))["weight"]
        np.testing.assert_allclose(weight, weigh(consistencies(arrays), **options), atol=1e-5)
        assert weight.mean() == pytest.approx(1, abs=1e-6)

    def test_momentum_joins_the_last_round_by_id(self, make, arrays, last_round, read):
        last = np.random.default_rng(1).random(N) * 2
        last /= last.mean()
        ids, order = arrays["sample_id"], np.random.default_rng(2).permutation(N)
        plain = last_round(ids, last)
        mixed = last_round([*ids[order], "other"], [*last[order], 5.0], "mixed.zarr")
        options = {"gamma": 1, "cap": 10, "floor": 0.5, "momentum": 0.7}
        expected = weigh(consistencies(arrays), previous=last.tolist(), **options)
        for name, previous in (("a.zarr", plain), ("b.zarr", mixed)):
            weight = read(make(name, previous=previous, **options))["weight"]
            np.testing.assert_allclose(weight, expected, atol=1e-5)

    def test_momentum_alone_changes_nothing(self, make, read):
        paths = [make(f"{momentum}.zarr", momentum=momentum) for momentum in (0, 0.9)]
        np.testing.assert_array_equal(*(read(path)["weight"] for path in paths))

    def test_undefined_pairs_are_neutral_and_counted(self, make, read):
        path = make(floor=0, cap=1000)
        assert read(path)["weight"][BOTH_ZERO] == pytest.approx(1, abs=1e-6)
        assert read_manifest(path).all_findings()["undefined_similarity"] == 1

    def test_all_pairs_undefined_weigh_the_same(self, make, arrays, write, read, tmp_path):
        zero = {name: np.zeros_like(arrays[name]) for name in ("clean", "adversarial")}
        path = make(heatmaps=write(tmp_path / "cams.zarr", "heatmaps", {**arrays, **zero}))
        np.testing.assert_array_equal(read(path)["weight"], np.ones(N))
        found = read_manifest(path).all_findings()
        assert (found["undefined_similarity"], found["effective_sample_size"]) == (N, N)


class TestInputs:
    def test_negative_weights_of_the_last_round(self, make, arrays, last_round):
        previous = last_round(arrays["sample_id"], np.full(N, -1))
        with pytest.raises(InputError, match="weight: expected weights of at least 0"):
            make(previous=previous, momentum=0.5)

    def test_label_without_a_logit(self, make, arrays, write, tmp_path):
        label = arrays["label"].copy()
        label[3] = CLASSES
        heatmaps = write(tmp_path / "cams.zarr", "heatmaps", {**arrays, "label": label})
        with pytest.raises(InputError, match="labels: expected classes 0 to 2, got 3"):
            make(heatmaps=heatmaps)

    def test_output_has_a_format(self, make):
        with pytest.raises(InputError, match=r"expected an output that ends in \.zarr"):
            make("weights.npz")


class TestFormats:
    @pytest.mark.parametrize("suffix", [".zarr", ".h5", ".hdf5"])
    def test_output_lies_beside_the_heatmaps(self, suffix, make, arrays, write, read, tmp_path):
        heatmaps = write(tmp_path / f"cams{suffix}", "heatmaps", arrays, shard_size=3)
        path = make(heatmaps=heatmaps, output=None)
        assert path == tmp_path / f"weights{suffix}"
        expected = read(make("other.zarr", shard_size=7))
        for name, values in read(path).items():
            np.testing.assert_array_equal(values, expected[name], err_msg=name)
