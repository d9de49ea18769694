"""Measure one checkpoint: load it, read its images, and compute its table."""

from __future__ import annotations

from ectool.config import ModelOptions, ValidityConfig
from ectool.stages.common.found_models import find_model
from ectool.stages.common.loaded import loaded_model, pick_device
from ectool.stages.validity.draws import ORIGINAL, RANDOM, SAME, open_draws
from ectool.stages.validity.plan import Checkpoint, Study
from ectool.stages.validity.scene import accuracy, read_scene
from ectool.stages.validity.tables import Table
from ectool.stages.validity.versions import Version
from ectool.stages.validity.work import Measurement


def measure(
    study: Study,
    checkpoint: Checkpoint,
    split: str,
    seeds: range,
    versions: list[Version],
    config: ValidityConfig,
) -> Table:
    """Compute the table of a checkpoint.

    Args:
        study: The study.
        checkpoint: The checkpoint, whose model is trained.
        split: The split to measure on.
        seeds: Data seeds of the draws of its backgrounds.
        versions: The versions to measure.
        config: Device and threads.
    """
    device = pick_device(config)
    options = study.data_options(checkpoint)
    scene = read_scene(options, split, seeds, device)
    path = str(study.training(checkpoint).output)
    given = ModelOptions(model=path, trust_code=config.trust_code)
    dataset = open_draws(options, split, ORIGINAL, seeds[:1])[0]
    with loaded_model(find_model(given), given, device, dataset) as model:
        measurement = Measurement(model, scene, study.config)
        columns = measurement.columns(versions)
        same, random = (
            accuracy(model, open_draws(options, split, variant, seeds), device)
            for variant in (SAME, RANDOM)
        )
    record = {
        "data": checkpoint.data,
        "rho": checkpoint.rho,
        "seed": checkpoint.seed,
        "epoch": checkpoint.epoch,
        "accuracy": float(columns["correct"].mean()),
        "reliance": float(columns["truth"].mean()),
        "gap": same - random,
        "radii": measurement.versions.radii,
    }
    return Table(record, scene.clusters, columns)
