"""`train`: train with sample weights, from the start or from any epoch of a schedule."""

from __future__ import annotations

from collections.abc import Mapping

from ectool.artifacts import folder
from ectool.artifacts.manifest import Manifest, Recipe
from ectool.artifacts.partial import up_to_date
from ectool.artifacts.versions import record_machine
from ectool.config import TrainConfig
from ectool.config.objectives import REPLACING
from ectool.datasets.base import Dataset
from ectool.datasets.fingerprint import fingerprints
from ectool.distributed.group import Group
from ectool.distributed.launch import need_ranks
from ectool.errors import UsageError
from ectool.models.names import check_architecture, is_zero_shot, program_file
from ectool.stages.common.code import check_trusted, imported_module
from ectool.stages.common.found_models import checkpoint_digest, code_parents
from ectool.stages.common.inputs import artifact_parent, data_source, parent_of
from ectool.stages.common.outcomes import outcome_of
from ectool.stages.common.shards import machine_of, note_versions, warn_lost
from ectool.stages.common.weighting import needs_scaling, scaled
from ectool.stages.common.zero_shot import prompts_key, prompts_of, trained_head, with_configuration
from ectool.stages.train.inputs import CURVES_KEY, TrainInputs, open_inputs
from ectool.stages.train.joining import building, joined_for, ranks_of, ranks_used
from ectool.stages.train.loggers import LoggedRun, check_installed, logging
from ectool.stages.train.origin import check_trained, with_origin, with_rate
from ectool.types import SILENT, Outcome, Reporter

FREE = ("until_epoch", "mix")
"""Options that may change when a schedule is resumed."""
ORDER = "class_order"
SCALED = "weights_scaled"
"""Entry of the recipe, where the mean of the weights is not 1."""
CUT = "batches"
"""Entry of the recipe for the division of an epoch into batches; see `_cut`."""


def run(config: TrainConfig, reporter: Reporter = SILENT) -> Outcome:
    """Train until an epoch of the schedule and write the model artifact.

    A model resumed within its schedule ends with the same bytes as an uninterrupted training with
    the same weights.

    Raises:
        UsageError: The schedule does not reach from the resumed epoch to `until_epoch`, or an
            option differs from the resumed model's.
        InputError: Data, weights or the resumed model are missing or do not fit each other.
        OutputExistsError: The output exists with another key and `force` is off.
    """
    config, inputs, recipe = prepared(config, reporter)
    resumed = inputs.resumed
    with joined_for(config) as group:
        is_done = group.world.is_first and up_to_date(config.output, recipe, force=config.force)
        if group.broadcast(is_done):
            return outcome_of(config.output, is_new=False)
        need_ranks(config.nproc)
        check_installed(config.log)
        note_versions(config.output, recipe, reporter)
        if resumed is not None and CUT in set(recipe.config) - set(resumed.recipe.config):
            reporter.note(
                f"{config.resume}: trained with a short last batch; from here on all are even"
            )
        return _train(config, inputs, recipe, reporter, group)


def prepared(config: TrainConfig, reporter: Reporter) -> tuple[TrainConfig, TrainInputs, Recipe]:
    """Return the complete options, the open inputs, and the recipe of the model."""
    config, origin = with_origin(config)
    config = with_configuration(config)
    _check_network(config)
    resumed = _resumed(config)
    config = with_rate(_resolved(config, resumed))
    inputs = open_inputs(config, resumed, origin)
    recipe = make_recipe(config, inputs)
    if inputs.values is not None and needs_scaling(inputs.values):
        reporter.note(f"{config.weights}: mean {inputs.values.mean():.3g}; scaled to mean 1")
        recipe = recipe.model_copy(update={"config": {**recipe.config, SCALED: "mean 1"}})
    return config, inputs, recipe


def _train(
    config: TrainConfig, inputs: TrainInputs, recipe: Recipe, reporter: Reporter, group: Group
) -> Outcome:
    """Train and publish the model."""
    from ectool.stages.common.loaded import pick_device
    from ectool.stages.train.feed import Feed, perturbed_images
    from ectool.stages.train.work import train

    logged = LoggedRun(config.output, recipe.key, config.model_dump(mode="json"))
    names = config.log if group.world.is_first else ()
    with (
        building(config.output, recipe, group) as partial,
        logging(names, logged, start_of(inputs.resumed)) as log,
    ):
        samples, values = inputs.samples, inputs.values
        feed = Feed(
            inputs.dataset,
            config,
            weights=None if values is None else scaled(values).tolist(),
            perturbed=None
            if samples is None
            else perturbed_images(samples, inputs.dataset, partial.scratch, group),
            device=pick_device(config),
            ranks=ranks_of(group),
        )
        if group.world.is_first:
            record_machine(partial.scratch, machine_of(config) | ranks_used(group.world))
        warn_lost(partial, reporter)
        if partial.other_versions:
            reporter.note(f"{config.output}: begun with {partial.other_versions}")
        checksums = train(config, feed, inputs.validation, partial, reporter, log)
        if group.world.is_first:
            partial.publish(checksums)
            log.artifact = folder.open_folder(config.output, "model").id
        group.barrier()
        return outcome_of(config.output, is_new=True)


def _resumed(config: TrainConfig) -> Manifest | None:
    """Return the manifest of the model to resume; None if there is none."""
    if config.resume is None:
        return None
    manifest = folder.open_folder(config.resume, "model")
    check_trained(config.resume, manifest)
    return manifest


def _resolved(config: TrainConfig, resumed: Manifest | None) -> TrainConfig:
    """Return the configuration with the options of the resumed model, `until_epoch` and `mix`."""
    if resumed is not None:
        given, config = config, inherit(config, resumed)
        is_named = "model" in given.model_fields_set
        check_trusted(config.model, str(config.resume), trust_code=config.trust_code or is_named)
    until = config.until_epoch or config.epochs
    update = {"until_epoch": until, "mix": _mix(config, resumed)}
    config = config.model_copy(update=update)
    _check_schedule(config, resumed)
    return config


def _mix(config: TrainConfig, resumed: Manifest | None) -> float:
    """Return the share of perturbed images; 0 if there are none."""
    if config.objective not in REPLACING:
        return config.mix if config.samples else 0.0
    if "mix" in config.model_fields_set:
        return config.mix
    recorded = {} if resumed is None else resumed.recipe.config
    same = recorded.get("objective") == config.objective
    return float(recorded["mix"]) if same else REPLACING[config.objective]


def inherit(config: TrainConfig, resumed: Manifest) -> TrainConfig:
    """Fill options that were not given with those of the resumed model, whose schedule is fixed.

    Raises:
        UsageError: An option was given that differs from the resumed model's.
    """
    recorded = resumed.recipe.config.items()
    fixed = {n: v for n, v in recorded if n in TrainConfig.model_fields and n not in FREE}
    fixed.setdefault("precision", "fp32")  # in the key only where it is another one
    before = TrainConfig.model_validate({**fixed, "output": config.output})
    if ORDER in config.model_fields_set:  # only the resulting order of the classes counts
        fixed.pop(ORDER, None)
    for name in sorted(config.model_fields_set & set(fixed)):
        if getattr(config, name) != getattr(before, name):
            raise UsageError(
                "--" + name.replace("_", "-"),
                expected=f"{getattr(before, name)} as in {config.resume}",
                got=str(getattr(config, name)),
                fix="leave it out, or train from the start",
            )
    update = {name: getattr(before, name) for name in fixed}
    if resumed.recipe.source is not None and "data" not in config.model_fields_set:
        update["data"] = resumed.recipe.source.data
    return config.model_copy(update=update)


def _curves_key(validation: Mapping[str, Dataset]) -> dict[str, dict[str, str]]:
    return {CURVES_KEY: fingerprints(validation)} if validation else {}


def _check_network(config: TrainConfig) -> None:
    """Check that the network can be trained, and that options of a checkpoint come with one."""
    if program_file(config.model) is not None:
        raise UsageError(
            f"--model {config.model}",
            expected="an architecture that can be trained",
            got="a program, whose weights are fixed",
            fix="give the architecture, and its weights as --checkpoint",
        )
    if config.resume is None:
        check_architecture(config.model)
        prompts_of(config.model, config)
    if config.reset_head and is_zero_shot(config.model):
        raise trained_head(config.model)
    for name in ("reset_head", "entry"):
        if getattr(config, name) and config.checkpoint is None and config.resume is None:
            raise UsageError(
                "--" + name.replace("_", "-"),
                expected="a --checkpoint",
                got="none",
                fix="add it, or leave this out",
            )


def _check_schedule(config: TrainConfig, resumed: Manifest | None) -> None:
    start = start_of(resumed)
    until = config.until_epoch or config.epochs
    if not start < until <= config.epochs:
        raise UsageError(
            "--until-epoch",
            expected=f"an epoch after {start} and up to --epochs {config.epochs}",
            got=str(until),
            fix="change --until-epoch, or resume an earlier model",
        )


def start_of(resumed: Manifest | None) -> int:
    """Return the number of finished epochs of the schedule."""
    return int(resumed.recipe.config["until_epoch"]) if resumed else 0


def make_recipe(config: TrainConfig, inputs: TrainInputs) -> Recipe:
    """Return the recipe of the model and its learning curves."""
    parents = []
    if inputs.resumed is not None and config.resume is not None:
        resumed = inputs.resumed.id
        parents.append(parent_of("resume", config.resume, "model", resumed, config.output))
    for role, artifact in (("weights", inputs.weights), ("samples", inputs.samples)):
        if artifact is not None:
            parents.append(artifact_parent(role, artifact, config.output))
    parents += code_parents(imported_module(config.model))
    if inputs.origin is not None and config.resume is None:
        parents.append(inputs.origin.parent(config.output))
    elif config.checkpoint is not None and config.resume is None:
        digest = checkpoint_digest(config.checkpoint)
        parents.append(
            parent_of("checkpoint", config.checkpoint, "checkpoint", digest, config.output)
        )
    return Recipe(
        kind="model",
        stage="train",
        config={
            **config.keyed(),
            **({} if config.resume else prompts_key(config.model, config, inputs.dataset.classes)),
            **_cut(config, len(inputs.dataset.sample_ids)),
            **_curves_key(inputs.validation),
        },
        parents=tuple(parents),
        source=data_source(config, config.split, inputs.dataset),
    )


def _cut(config: TrainConfig, samples: int) -> dict[str, str]:
    """Return the entry of the key for the division of an epoch into batches of even size.

    Earlier versions left a short last batch. No entry where that makes no difference: where all
    batches are full, or there is only one.
    """
    size = config.batch_size
    return {} if samples % size == 0 or samples <= size else {CUT: "even"}
