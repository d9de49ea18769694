"""An evaluation whose options change computes what depends on them, and equals a fresh one."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from ectool.config import EvaluateConfig, TrainConfig
from ectool.config.evaluate import SUITES
from ectool.errors import InputError, IntegrityError, OutputExistsError
from ectool.stages import evaluate, train
from ectool.stages.evaluate.results import read_results
from ectool.stages.report.gallery import read_gallery
from ectool.stages.tools.compare import CompareConfig
from ectool.stages.tools.compare import run as compare

QUICK = {
    **{"data": "digits", "limit": 6, "device": "cpu", "bootstrap": 100, "subset": 3},
    **{"attacks": ("pgd",), "eps": (2 / 255,), "eps_l2": (), "steps": 1},
    **{"corruptions": ("fog",), "replaced": (0.5,), "explainers": ("hirescam",)},
}
ROUND = ("adv.zarr", "cams.zarr", "weights.zarr")
DRAWN = ("faithfulness.zarr", "sanity.zarr", "stability.zarr", "filters.zarr", "agreement/*")
"""Parts of a few samples that are drawn."""
MAPS = (*ROUND, "validation_cams.zarr", *DRAWN)
OPENED = (*ROUND, "validation_cams.zarr")
"""Parts whose keys hold how the images are opened, even where `digits` does not listen."""
EVERYTHING = ("*",)

CASES = {
    "suite": (("classification", "sanity"), (), "classification"),
    "bootstrap": (200, (), "robustness"),
    "attacks": (("fgsm", "pgd"), (), "robustness"),
    "eps": ((1 / 255, 2 / 255), (), "robustness"),
    "eps_l2": ((0.5,), (), "robustness"),
    "steps": (2, (), "robustness"),
    "restarts": (2, ("attacks/*",), "robustness"),
    "corruptions": (("contrast",), (), "robustness"),
    "replaced": ((0.25,), (), "debiasing"),
    "challenge": (True, (), "debiasing"),
    "validation_split": ("train", ("validation_cams.zarr",), "localization"),
    "explainers": (("cam",), (), "stability"),
    "subset": (2, DRAWN, "sanity"),
    "seed": (1, ("attacks/*", "corruptions/*", "replaced/*", *ROUND, *DRAWN), "robustness"),
    "method": ("layercam", MAPS, "localization"),
    "fuse": ("max", MAPS, "localization"),
    "smooth": ("aug", MAPS, "localization"),
    "draw_seed": (1, MAPS, "localization"),
    "precision": ("bf16", MAPS, "localization"),
    "layer": ("features.2", EVERYTHING, "robustness"),
    "shard_size": (4, EVERYTHING, "localization"),
    "size": (48, OPENED, "localization"),
    "view": ("squash", OPENED, "localization"),
    "fraction": (0.5, OPENED, "localization"),
    "draws": (2, ("sanity.zarr",), "sanity"),
    "curve_tolerance": (0.01, ("faithfulness.zarr",), "faithfulness"),
    "class_order": ("text", EVERYTHING, "classification"),
    "classes_by_position": (True, EVERYTHING, "classification"),
}
"""Of every option: another value, the parts that may depend on it, and where it is tried."""
OF_METHODS = {
    "compat": ("gradcam++", "pytorch-grad-cam"),
    "passes": ("smoothgrad", 2),
    "noise": ("smoothgrad", 0.25),
    "window": ("occlusion", 16),
    "stride": ("occlusion", 3),
}
"""Options that some methods alone listen to: such a method, and another value."""
OTHER_IMAGES = {"limit": 5, "rho": 0.25, "data_seed": 1, "split": "validation"}
OF_CHECKPOINTS = {"entry", "mean", "std", "classes", "checkpoint", "fold", "prompts"}
OF_CHECKPOINTS |= {"corruption_baseline"}
"""Tried below, or refused by `digits`."""
UNKEYED = {"batch_size", "device", "threads", "resume", "force", "output"}
UNKEYED |= {"require", "baseline", "md", "junit", "nproc", "workers", "deterministic"}
UNKEYED |= {"trust_code", "check_space", "max_pixels"}
NAMES = {"model", "models", "data"}
QUICKLY = {"restarts", "method", "limit"}
"""Options that are tried whenever tests run; the others go the same ways, with the slow tests."""


def marked(names: Iterable[str]) -> list[Any]:
    """Return the names, those of costlier cases marked."""
    return [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICKLY)) for n in names]


def test_every_option_of_an_evaluation_is_tried():
    tried = {*CASES, *OF_METHODS, *OTHER_IMAGES, *OF_CHECKPOINTS, *UNKEYED, *NAMES}
    assert set(EvaluateConfig.model_fields) == tried


@pytest.fixture(scope="module")
def evaluated(model, tmp_path_factory):
    """Return a function that evaluates once with given options, and returns the folder."""
    root, made = tmp_path_factory.mktemp("evaluated"), {}

    def run(**given):
        key = repr(sorted(given.items()))
        if key not in made:
            made[key] = evaluate.run(
                EvaluateConfig(
                    **{"model": str(model), **QUICK, **given}, output=root / f"{len(made)}"
                )
            ).path
        return made[key]

    return run


def stamped(folder):
    """Return content and time of every file of every part, by the part."""
    found = {}
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        part = next((p for p in (inside, *inside.parents) if p.suffix == ".zarr"), None)
        if path.is_file() and part is not None:
            stamp = path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino
            found.setdefault(part.as_posix(), {})[inside.as_posix()] = stamp
    return found


def bytes_of(parts):
    return {
        part: {file: stamp[0] for file, stamp in files.items()} for part, files in parts.items()
    }


def check_growth(evaluated, model, tmp_path, before, after, may_change):
    """Change options in a copy of an evaluation; compare it with what it was and a fresh one."""
    folder = tmp_path / "evaluation"
    shutil.copytree(evaluated(**before), folder)
    old = stamped(folder)
    evaluate.run(EvaluateConfig(**{"model": str(model), **QUICK, **after}, output=folder))
    new, fresh = stamped(folder), evaluated(**after)
    wanted = bytes_of(stamped(fresh))
    listed = read_results(folder)["parts"]
    assert set(listed) == set(wanted)
    for part, files in old.items():
        if not any(fnmatch(part, pattern) for pattern in may_change):
            assert new[part] == files, part
    for part in wanted:
        ours = bytes_of(new)[part]
        assert drop_manifest(ours) == drop_manifest(wanted[part]), part
    assert (folder / "results.json").read_bytes() == (fresh / "results.json").read_bytes()


def drop_manifest(files):
    """Leave out what tells where parents lay."""
    return {name: content for name, content in files.items() if not name.endswith("manifest.json")}


@pytest.mark.parametrize("name", marked(CASES))
def test_an_option_computes_what_depends_on_it_and_nothing_else(name, evaluated, model, tmp_path):
    value, may_change, suite = CASES[name]
    before = {"suite": suite}
    check_growth(evaluated, model, tmp_path, before, {**before, name: value}, may_change)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name != "suite"])
def test_an_option_changes_what_it_should_in_all_suites(name, evaluated, model, tmp_path):
    value, may_change, _ = CASES[name]
    before = {"suite": SUITES}
    check_growth(evaluated, model, tmp_path, before, {**before, name: value}, may_change)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_METHODS)
def test_an_option_of_a_method_computes_its_heatmaps(name, evaluated, model, tmp_path):
    method, value = OF_METHODS[name]
    before = {"suite": "localization", "method": method}
    check_growth(evaluated, model, tmp_path, before, {**before, name: value}, MAPS)


@pytest.mark.parametrize("name", marked(OTHER_IMAGES))
def test_other_images_are_refused(name, evaluated, model, tmp_path, tree):
    folder = tmp_path / "evaluation"
    shutil.copytree(evaluated(suite="classification"), folder)
    before = tree(folder)
    given = {**QUICK, "suite": "classification", name: OTHER_IMAGES[name]}
    with pytest.raises(OutputExistsError):
        evaluate.run(EvaluateConfig(model=str(model), **given, output=folder))
    assert tree(folder) == before


@pytest.mark.parametrize("change", [{"mean": (0.4,) * 3}, {"std": (0.3,) * 3}])
def test_a_checkpoint_read_in_another_way_is_another_model(change, model, tmp_path):
    given = {
        **QUICK,
        **{"model": "smallcnn", "checkpoint": model / "model.safetensors", "classes": 10},
        **{"mean": (0.5,) * 3, "std": (0.25,) * 3},
        **{"suite": "classification", "output": tmp_path / "evaluation"},
    }
    evaluate.run(EvaluateConfig(**given))
    with pytest.raises(OutputExistsError):
        evaluate.run(EvaluateConfig(**{**given, **change}))


@pytest.fixture(scope="module")
def other(data_root, tmp_path_factory):
    """Return another model."""
    output = tmp_path_factory.mktemp("other") / "model"
    return train.run(TrainConfig(epochs=1, limit=64, seed=9, output=output, device="cpu")).path


class TestInterrupted:
    def unfinished(self, evaluated, tmp_path):
        folder = tmp_path / "evaluation"
        shutil.copytree(evaluated(suite="classification"), folder)
        (folder / "manifest.json").unlink()
        return folder

    def test_goes_on_and_equals_an_unbroken_one(self, evaluated, model, tmp_path):
        folder = self.unfinished(evaluated, tmp_path)
        evaluate.run(
            EvaluateConfig(model=str(model), **QUICK, suite="classification", output=folder)
        )
        fresh = evaluated(suite="classification")
        assert (folder / "results.json").read_bytes() == (fresh / "results.json").read_bytes()

    def test_is_not_gone_on_with_by_another_model(self, evaluated, other, tmp_path, tree):
        folder = self.unfinished(evaluated, tmp_path)
        before = tree(folder)
        with pytest.raises(OutputExistsError):
            evaluate.run(
                EvaluateConfig(model=str(other), **QUICK, suite="classification", output=folder)
            )
        assert tree(folder) == before

    def test_results_are_not_vouched_for_once_a_part_is_replaced(
        self, evaluated, model, tmp_path, monkeypatch
    ):
        folder = tmp_path / "evaluation"
        shutil.copytree(evaluated(suite="localization"), folder)

        def stop(*_args, **_options):
            raise KeyboardInterrupt

        monkeypatch.setattr("ectool.stages.score.measure", stop)
        monkeypatch.setattr("ectool.stages.perturb.command._compute", stop)
        monkeypatch.setattr("ectool.stages.explain.command._compute", stop)
        given = {**QUICK, "suite": "localization", "method": "layercam"}
        with pytest.raises(KeyboardInterrupt):
            evaluate.run(EvaluateConfig(model=str(model), **given, output=folder))
        monkeypatch.undo()
        with pytest.raises(InputError, match="expected evaluation artifact"):
            read_results(folder)


class TestPartsThatAreNoLongerMeasured:
    def test_are_not_shown(self, evaluated, model, tmp_path):
        folder = tmp_path / "evaluation"
        shutil.copytree(evaluated(suite="stability"), folder)
        assert read_gallery({"one": folder})
        given = {**QUICK, "suite": "classification", "method": "layercam"}
        evaluate.run(EvaluateConfig(model=str(model), **given, output=folder))
        assert (folder / "cams.zarr").exists()
        assert read_gallery({"one": folder}) == ()

    def test_nor_taken_for_those_that_were(self, evaluated, tmp_path):
        folder = tmp_path / "evaluation"
        shutil.copytree(evaluated(suite="robustness"), folder)
        shutil.rmtree(folder / "attacks/pgd1-linf-2_255.zarr")
        shutil.copytree(
            evaluated(suite="robustness", restarts=2) / "attacks/pgd1-linf-2_255.zarr",
            folder / "attacks/pgd1-linf-2_255.zarr",
        )
        whole = evaluated(suite="robustness")
        same = read_results(folder)["parts"]["attacks/pgd1-linf-2_255.zarr"]
        there = read_results(evaluated(suite="robustness", restarts=2))["parts"]
        if there["attacks/pgd1-linf-2_255.zarr"] == same:
            pytest.skip("a second start changed nothing")
        with pytest.raises(IntegrityError, match=r"part that results\.json was computed from"):
            compare(CompareConfig(a=whole, b=folder))

    def test_nor_of_a_baseline(self, evaluated, model, tmp_path):
        baseline = tmp_path / "baseline"
        shutil.copytree(evaluated(suite="robustness"), baseline)
        given = {**QUICK, "model": str(model), "suite": "robustness"}
        evaluate.run(EvaluateConfig(**{**given, "corruptions": ("contrast",)}, output=baseline))
        assert (baseline / "corruptions/fog.zarr").exists()
        with pytest.raises(InputError, match=r"got none under fog"):
            evaluate.run(
                EvaluateConfig(
                    **given, corruption_baseline=baseline, output=tmp_path / "evaluation"
                )
            )

    @pytest.mark.slow
    def test_nor_is_a_baseline_of_other_images(self, evaluated, model, tmp_path):
        baseline = evaluated(suite="robustness", rho=0.25)
        config = EvaluateConfig(
            **{**QUICK, "model": str(model), "suite": "robustness"},
            corruption_baseline=baseline,
            output=tmp_path / "evaluation",
        )
        with pytest.raises(InputError, match=r"--corruption-baseline .*fingerprint \w{12}"):
            evaluate.run(config)
        assert not Path(config.output).exists()


def test_boxes_of_validation_images_that_change_are_seen(evaluated, model, tmp_path):
    """The thresholds of MaxBoxAcc are tuned on them, whatever the images that are reported."""
    from ectool.stages.common.found_models import find_model
    from ectool.stages.evaluate.one_model import open_variants, recipe_of
    from ectool.stages.evaluate.suites.parts import Subject
    from ectool.types import SILENT

    config = EvaluateConfig(
        model=str(model), **QUICK, suite="localization", output=tmp_path / "evaluation"
    )
    variants = open_variants(config, SILENT)
    recipe = recipe_of(Subject(config, find_model(config), variants, SILENT))
    digits = evaluated(suite="localization")
    tuned = read_results(digits)["parts"]["validation_cams.zarr"]
    assert tuned
    assert recipe.config["validation"] not in (None, recipe.source.fingerprint)
    only = config.model_copy(update={"suite": ("classification",)})
    assert "validation" not in recipe_of(Subject(only, find_model(only), variants, SILENT)).config
