"""One frozen configuration model per stage: the single source of flags, keys, defaults and help.

The command line makes its flags from these models, TOML files and environment variables are checked
against them, and the fields that can change a result (`keyed`) enter the artifact's key.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from ectool.errors import UsageError
from ectool.options import Channels, Number, Options, RadiusList, TextList, argument, option


class ForceOptions(Options):
    """What a stage does when its output is there already."""

    force: bool = option(
        False, "Move an existing output with another key aside and write anew.", keyed=False
    )


class OutputOptions(ForceOptions):
    """Where a stage writes."""

    output: Path = option(..., "Artifact to write.", keyed=False)


class DeviceOptions(Options):
    """Where the arithmetic runs."""

    device: str = option("auto", "cpu, cuda, cuda:1, mps, or auto for the best one.", keyed=False)
    threads: int = option(0, "CPU threads of the arithmetic; 0 for all cores.", ge=0, keyed=False)


class ViewOptions(Options):
    """How a data set is opened."""

    size: int = option(224, "Side of the square view of pictures of many sizes.", ge=8)
    view: Literal["crop", "squash"] = option(
        "crop", "How pictures become squares: resize and crop the centre, or resize alone."
    )
    fraction: Number = option(
        1.0, "Share of the training pictures of every class that is used.", gt=0, le=1
    )
    limit: int | None = option(None, "Most pictures of any split, drawn by hash.", ge=1)
    fold: int | None = option(None, "stl10: predefined fold of the training pictures.", ge=0)
    rho: Number = option(
        0.5, "digits: share of pictures whose background family equals the class.", ge=0, le=1
    )
    data_seed: int = option(0, "Seed of everything drawn while a data set is made.", ge=0)


class DataOptions(ViewOptions):
    """Which pictures a stage reads."""

    # Not keyed: it may hold a path, and the data's fingerprint says more.
    data: str = option("digits", "Data set: NAME or NAME:PATH.", keyed=False)


class CheckpointOptions(Options):
    """Which weights somebody else's network starts from."""

    checkpoint: Path | None = option(
        None, "Foreign weights (.pth, .pt, .ckpt, .safetensors) for an architecture.", keyed=False
    )
    entry: str | None = option(
        None, "What of the checkpoint to load: ema, or a dotted name; found unless given."
    )
    mean: Channels | None = option(
        None, "Mean of each channel of pixels in [0, 1]; that of the public weights unless given."
    )
    std: Channels | None = option(None, "What each channel is divided by; likewise.")


class ModelOptions(CheckpointOptions):
    """Which model a stage runs."""

    model: str = option(
        ...,
        "Model artifact (folder); or architecture with --checkpoint: a name of torchvision, "
        "timm:NAME, import:package.module:factory; or torchscript:FILE, exported:FILE.",
        keyed=False,
    )
    classes: int | None = option(None, "Number of classes of the checkpoint.", ge=2, keyed=False)
    layer: TextList = option(
        (), "Target layer, or several whose heatmaps are fused; found automatically unless given."
    )


METHODS = (
    "gradcam",
    "gradcam++",
    "xgradcam",
    "hirescam",
    "layercam",
    "gradcam-elementwise",
    "eigencam",
    "eigengradcam",
    "cam",
    "ablationcam",
    "scorecam",
    "excitation-backprop",
    "fullgrad",
    "input-x-gradient",
    "integrated-gradients",
    "smoothgrad",
    "guided-backprop",
    "occlusion",
    "rise",
    "attention-rollout",
    "transformer-relevance",
)
METHOD_GROUP = "ectool.explainers"
"""Entry points under which installed packages offer further methods."""


def check_method(name: str) -> str:
    """Refuse a method that neither ectool nor an installed package has.

    Raises:
        ValueError: What was expected.
    """
    if name in METHODS or entry_points(group=METHOD_GROUP, name=name):
        return name
    raise ValueError(f"one of {', '.join(METHODS)}, or an entry point of {METHOD_GROUP}")


class HeatmapOptions(Options):
    """How heatmaps are made."""

    method: Annotated[str, AfterValidator(check_method)] = option(
        "gradcam", f"Method: {', '.join(METHODS)}, or one that an installed package offers."
    )
    compat: Literal["pytorch-grad-cam"] | None = option(
        None, "Compute what another program does where it differs from the publication."
    )
    fuse: Literal["mean", "max"] = option("mean", "How heatmaps of several layers become one.")
    smooth: Literal["aug", "eigen"] | None = option(
        None, "Average over six changes of the picture, or keep the first principal component."
    )
    passes: int | None = option(
        None, "Path steps, noisy copies or masks of methods that repeat passes.", ge=1
    )
    noise: Number | None = option(
        None, "smoothgrad: standard deviation of the noise, as a share of the range.", ge=0
    )
    window: int | None = option(None, "occlusion: side of the window in pixels.", ge=1)
    stride: int | None = option(None, "occlusion: step of the window in pixels.", ge=1)
    draw_seed: int = option(0, "Seed of methods that draw masks or noise.", ge=0)
    precision: Literal["fp32", "bf16"] = option(
        "fp32", "Arithmetic of the network; of perturb the steps alone."
    )


class ShardOptions(ForceOptions):
    """How array artifacts are written."""

    shard_size: int = option(256, "Samples per shard, the unit of writing and resuming.", ge=1)
    resume: bool = option(
        False, "Check every shard of an existing output and compute damaged ones.", keyed=False
    )


class MapOptions(ShardOptions, OutputOptions):
    """What stages that go over a data set shard by shard have in common."""

    batch_size: int = option(64, "Samples that are read and computed at a time.", ge=1, keyed=False)


MaskRule = Literal["quantile", "fraction", "threshold", "otsu", "object", "inverse", "full"]
LEVELLESS_MASKS = frozenset({"otsu", "object", "full"})
Attack = Literal["fgsm", "pgd", "mim", "apgd", "noise", "blur", "fill", "explanation"]

_BOUNDED = frozenset({"norm", "eps"})
_AIMED = frozenset({"loss", "target_class"})
_ITERATED = _BOUNDED | {"steps", "random_start", "restarts", "init"}
ATTACK_OPTIONS: dict[str, frozenset[str]] = {
    "fgsm": _BOUNDED | _AIMED,
    "pgd": _ITERATED | _AIMED | {"alpha"},
    "mim": _ITERATED | _AIMED | {"alpha", "decay"},
    "apgd": _ITERATED | _AIMED,
    "noise": _BOUNDED,
    "blur": frozenset({"sigma"}),
    "fill": frozenset({"fill_color"}),
    "explanation": _ITERATED | {"alpha"},
}
"""What each attack listens to, besides the mask."""


def unheard_options(attack: str) -> frozenset[str]:
    """Return the options that other attacks listen to, and this one does not."""
    heard = ATTACK_OPTIONS.get(attack, frozenset())
    return frozenset[str]().union(*ATTACK_OPTIONS.values()) - heard


class PerturbConfig(ModelOptions, DataOptions, HeatmapOptions, MapOptions, DeviceOptions):
    """Options of `perturb`."""

    split: str = option("train", "Split of the data set.")
    attack: Attack = option("pgd", "Attack.")
    norm: Literal["linf", "l2"] = option("linf", "Norm of the ball; l2 needs its own --eps.")
    eps: Number = option(16 / 255, "Radius of the ball in pixel units, e.g. 8/255.", gt=0)
    alpha: Number | None = option(
        None, "Step size; 2.5 eps / steps (mim: eps / steps) unless given.", gt=0
    )
    steps: int | None = option(None, "Steps; 2 with --init, 5 without, unless given.", ge=0)
    random_start: bool | None = option(
        None, "Start at a random point of the ball; unless given, all attacks with steps but mim."
    )
    restarts: int = option(1, "Starts, of which each sample's worst result is kept.", ge=1)
    init: Path | None = option(
        None, "Samples of an earlier round to start from (warm start).", keyed=False
    )
    loss: Literal["auto", "ce", "bce", "margin", "dlr"] = option(
        "auto", "Loss that is raised; ce, and bce for several labels, unless given."
    )
    target_class: Literal["least-likely", "second", "random"] | None = option(
        None, "Wrong class that the attack leads to; just away from the true one unless given."
    )
    decay: Number = option(1.0, "mim: share of the last step's momentum that is kept.", ge=0)
    sigma: Number | None = option(
        None, "blur: standard deviation in pixels; 1/16 of the height unless given.", gt=0
    )
    fill_color: Channels | None = option(
        None, "fill: colour in [0, 1]; the background's own mean unless given."
    )
    mask: MaskRule = option("quantile", "What counts as background.")
    mask_level: Number = option(
        0.5, "Quantile, fraction of the maximum, or threshold, of the mask rule.", ge=0
    )
    dilate: int = option(0, "Pixels by which the object grows in every direction.", ge=0)
    soft: int = option(0, "Pixels over which eps rises from the object's edge to its value.", ge=0)
    seed: int = option(0, "Seed of random starts, random target classes and noise.", ge=0)
    heatmaps: Path | None = option(
        None,
        "Heatmaps artifact to write in the same pass, as `explain --samples` would.",
        keyed=False,
    )

    @model_validator(mode="after")
    def _check(self) -> PerturbConfig:
        """Refuse what the attack or the mask does not listen to, and radii that cannot be meant.

        Raises:
            UsageError: The first such option.
        """
        self._check_attack()
        self._check_ball()
        self._check_mask()
        return self

    def _check_attack(self) -> None:
        for name in sorted(unheard_options(self.attack)):
            if self._is_given(name):
                takers = [a for a, options in ATTACK_OPTIONS.items() if name in options]
                raise _misfit(
                    name,
                    f"an attack that listens to it ({', '.join(takers)})",
                    f"--attack {self.attack}",
                    "leave it out",
                )

    def _check_ball(self) -> None:
        if self.norm == "l2" and not self._is_given("eps"):
            raise _misfit("eps", "a radius in the l2 norm", "none", "give one, such as --eps 1")
        for name in ("eps", "alpha"):
            value = getattr(self, name)
            if self.norm == "linf" and value is not None and value > 1:
                expected = "less than or equal to 1"
                raise _misfit(name, expected, f"{value:g}", "give it in pixel units, e.g. 8/255")
        if self.fill_color is not None and not all(0 <= c <= 1 for c in self.fill_color):
            got = ",".join(f"{c:g}" for c in self.fill_color)
            raise _misfit("fill_color", "three numbers in [0, 1]", got, "divide grey levels by 255")
        if self.attack == "explanation" and self.random_start is False and self.init is None:
            expected = "a start beside the clean picture, where the change has no gradient"
            raise _misfit("no_random_start", expected, "the clean picture", "leave it out")

    def _check_mask(self) -> None:
        if self.mask in LEVELLESS_MASKS and self._is_given("mask_level"):
            expected = "a mask rule with a level"
            raise _misfit("mask_level", expected, f"--mask {self.mask}", "leave it out")
        if self.mask == "threshold" and not self._is_given("mask_level"):
            expected = "a level on the heatmaps' scale"
            raise _misfit("mask_level", expected, "none", "give one, or choose --mask fraction")
        if self.mask != "threshold" and self.mask_level > 1:
            expected, got = "less than or equal to 1", f"{self.mask_level:g}"
            raise _misfit("mask_level", expected, got, "give a share")

    def _is_given(self, name: str) -> bool:
        """Tell whether an option was set to something else than nothing."""
        return name in self.model_fields_set and getattr(self, name) is not None


def _misfit(name: str, expected: str, got: str, fix: str) -> UsageError:
    """Return the error for an option that does not fit the others."""
    return UsageError("--" + name.replace("_", "-"), expected=expected, got=got, fix=fix)


class ExplainConfig(ModelOptions, HeatmapOptions, MapOptions, DeviceOptions):
    """Options of `explain`."""

    samples: Path | None = option(None, "Samples artifact: explain both of each pair.", keyed=False)
    data: str | None = option(None, "Data set; the one of --samples unless given.", keyed=False)
    split: str | None = option(None, "Split; the one of --samples, or train.")
    size: int | None = option(None, "Side of the square view of pictures of many sizes.", ge=8)
    view: Literal["crop", "squash"] | None = option(None, "How pictures become squares.")
    fraction: Number | None = option(None, "Share of the training pictures.", gt=0, le=1)
    limit: int | None = option(None, "Most pictures of the split.", ge=1)
    fold: int | None = option(None, "stl10: predefined fold.", ge=0)
    rho: Number | None = option(None, "digits: share of biased backgrounds.", ge=0, le=1)
    data_seed: int | None = option(None, "Seed of everything drawn with the data.", ge=0)
    targets: Literal["label", "prediction"] = option("label", "Class that is explained.")
    store_size: Literal["layer", "pixels"] | None = option(
        None, "Resolution of the stored maps; the method's own unless given."
    )

    def data_options(self, source: DataOptions) -> DataOptions:
        """Return which data to read: what was given here, else what `source` says."""
        names = DataOptions.model_fields
        given = {n: value for n in names if (value := getattr(self, n)) is not None}
        return source.model_copy(update=given)


class ScoreConfig(ShardOptions):
    """Options of `score`."""

    heatmaps: Path = option(..., "Heatmaps artifact with clean and adversarial maps.", keyed=False)
    output: Path | None = option(
        None, "Weights artifact; beside the heatmaps unless given.", keyed=False
    )
    previous: Path | None = option(None, "Weights of the last round, for momentum.", keyed=False)
    similarity: Literal["cosine", "pearson", "ssim", "top-iou"] = option(
        "cosine", "Heatmap similarity s_H."
    )
    stability: Literal["probability", "correct", "total-variation", "none"] = option(
        "probability", "Prediction stability s_P."
    )
    gamma: Number = option(1.0, "Sharpness of the weights (1 - E)^gamma.", ge=0)
    momentum: Number = option(0.0, "Share of the last round's weights.", ge=0, lt=1)
    cap: Number = option(10.0, "Largest weight, where the mean is 1.", ge=1)
    floor: Number = option(
        0.5, "Smallest effective sample size, as a share of the samples.", ge=0, le=1
    )
    shard_size: int = option(65536, "Samples per shard of the weights artifact.", ge=1)


class TrainConfig(CheckpointOptions, DataOptions, OutputOptions, DeviceOptions):
    """Options of `train`."""

    model: str = option(
        "smallcnn", "Architecture to train: torchvision's, timm:NAME, import:module:factory."
    )
    reset_head: bool = option(False, "Start the last layer anew: for other classes.")
    split: str = option("train", "Split that is learned from.")
    layer: str | None = option(None, "Target layer; found automatically unless given.")
    epochs: int = option(30, "Length of the whole schedule.", ge=1)
    until_epoch: int | None = option(None, "Epoch to stop at; the last one unless given.", ge=1)
    resume: Path | None = option(None, "Model artifact to go on from.", keyed=False)
    weights: Path | None = option(None, "Weights artifact; 1 each unless given.", keyed=False)
    samples: Path | None = option(None, "Samples artifact to learn from as well.", keyed=False)
    mix: Number = option(
        0.5, "Share of the pictures that --samples replaces, drawn anew each epoch.", ge=0, le=1
    )
    crop_scale: Number | None = option(
        None, "Least share of a picture that random crops show; no crops unless given.", gt=0, le=1
    )
    flip: bool = option(False, "Mirror half of the pictures, drawn anew each epoch.")
    rand_augment: int = option(
        0, "Magnitude of RandAugment, two operations; 0 for none.", ge=0, le=30
    )
    optimizer: Literal["adamw", "sgd"] = option("sgd", "Optimizer; sgd has Nesterov momentum 0.9.")
    lr: Number = option(0.2, "Peak learning rate of the one-cycle schedule.", gt=0)
    weight_decay: Number = option(5e-4, "Weight decay.", ge=0)
    lr_warmup: Number = option(0.2, "Share of the steps in which the rate rises.", ge=0, lt=1)
    batch_size: int = option(32, "Samples per step.", ge=1)
    seed: int = option(0, "Seed of the initial weights and of the order.", ge=0)


class EvaluateConfig(ModelOptions, DataOptions, MapOptions, DeviceOptions):
    """Options of `evaluate`."""

    split: str = option("test", "Split of the data set.")
    eps: RadiusList = option((2 / 255, 8 / 255), "Radii of the robustness attack.")
    steps: int = option(20, "Steps of the robustness attack.", ge=1)
    restarts: int = option(
        1, "Starts of the robustness attack; what one of them changed is not tried again.", ge=1
    )
    challenge: bool = option(
        False, "Paste every object on every background (only_bg_t) as well; costs their product."
    )
    bootstrap: int = option(1000, "Bootstrap resamples behind each interval.", ge=100)
    seed: int = option(0, "Seed of random starts and of the bootstrap.", ge=0)
    require: TextList = option(
        (), "Bounds to meet, e.g. 'background_gap<=0.1,robust@2/255>=0.3'.", keyed=False
    )


class ArmConfig(Options):
    """One arm of an experiment: how it weights samples, and what it changes in the stages."""

    reweight: Literal["uniform", "consistency"] = option("uniform", "Where weights come from.")
    samples: bool = option(True, "Whether a round's perturbed pictures are learned from as well.")
    perturb: dict[str, Any] = option({}, "Options of perturb that this arm changes.")
    explain: dict[str, Any] = option({}, "Options of explain that this arm changes.")
    score: dict[str, Any] = option({}, "Options of score that this arm changes.")


def check_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse negative seeds, and repeated ones, which would count as more evidence than they are.

    Raises:
        ValueError: What was expected.
    """
    if len(set(seeds)) != len(seeds) or not seeds or min(seeds) < 0:
        raise ValueError("one seed or more of at least 0, each once")
    return seeds


def check_arms(arms: dict[str, ArmConfig]) -> dict[str, ArmConfig]:
    """Refuse names that cannot be folders beside that of the shared warm-up.

    Raises:
        ValueError: What was expected.
    """
    if not arms or any(name in RESERVED_ARMS or "/" in name for name in arms):
        raise ValueError(f"one arm or more, named like a folder but not {WARMUP_FOLDER!r}")
    return arms


WARMUP_FOLDER = "warmup"
RESERVED_ARMS = ("", ".", "..", WARMUP_FOLDER)


class ExperimentConfig(Options):
    """The `[experiment]` table: what is compared, how often, on which schedule."""

    title: str = option("Experiment", "Title of the report.")
    seeds: Annotated[tuple[int, ...], AfterValidator(check_seeds)] = option(
        (0, 1, 2), "Seeds; every arm runs once with each."
    )
    warmup: Number = option(0.2, "Share of the epochs before the first round.", ge=0, lt=1)
    every: int = option(1, "Epochs between two rounds.", ge=1)
    arms: Annotated[dict[str, ArmConfig], AfterValidator(check_arms)] = option(
        ..., "Arms by name; the first is the reference."
    )


class RunConfig(ForceOptions, DeviceOptions):
    """Options of `run`."""

    file: Path = argument("Experiment file (TOML).")
    output: Path | None = option(
        None, "Folder to write; run/NAME, or run/NAME-miniature, unless given.", keyed=False
    )
    data: str | None = option(None, "Data set, in place of the file's.", keyed=False)
    miniature: bool = option(
        False,
        "Cut network, pictures and schedule down, to try the whole chain in a minute.",
        keyed=False,
    )
    report: bool = option(True, "Write report.html, report.json and strip.png.", keyed=False)


class ReportConfig(Options):
    """Options of `report`."""

    experiment: Path = argument("Folder that `ectool run` wrote.")
    output: Path | None = option(
        None, "Report to write; report.html in that folder unless given.", keyed=False
    )


class DataListConfig(Options):
    """Options of `data list`: none."""


class DataInfoConfig(ViewOptions):
    """Options of `data info`."""

    uri: str = argument("Data set: NAME or NAME:PATH.")


class DataCheckConfig(DataInfoConfig):
    """Options of `data check`."""


class MaterializeConfig(ViewOptions, MapOptions):
    """Options of `data materialize`."""

    uri: str = argument("Data set: NAME or NAME:PATH.")
    split: str = option("train", "Split of the data set.")
    variant: str = option("original", "Background variant of the data set.")


class InspectConfig(Options):
    """Options of `inspect`."""

    artifact: Path = argument("Artifact of any kind.")
    verify: bool = option(False, "Read everything and compare it with the digests.", keyed=False)


class ConvertConfig(ForceOptions):
    """Options of `convert`."""

    source: Path = argument("Artifact to read (.zarr or .h5).")
    target: Path = argument("Artifact to write (.zarr or .h5).")


class DoctorConfig(Options):
    """Options of `doctor`: none."""


STAGES: dict[str, type[Options]] = {
    "perturb": PerturbConfig,
    "explain": ExplainConfig,
    "score": ScoreConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
}
SHARED_TABLE = "defaults"
EXPERIMENT_TABLE = "experiment"
