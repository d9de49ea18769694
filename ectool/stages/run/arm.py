"""One arm of an experiment with one seed: the chain of stages from warm-up to evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from ectool.config import (
    WARMUP_FOLDER,
    ArmConfig,
    EvaluateConfig,
    ExplainConfig,
    PerturbConfig,
    ScoreConfig,
    TrainConfig,
    inapplicable_options,
)
from ectool.stages import evaluate, explain, perturb, score, train
from ectool.stages.common.layout import HEATMAPS, SAMPLES, WEIGHTS, RunRecord
from ectool.stages.perturb import joint as one_pass
from ectool.stages.run.plan import Experiment
from ectool.types import Outcome, Reporter, warn, within

MODEL = "model"
EVALUATION = "eval"


@dataclass(frozen=True)
class Chain:
    """Runs the stages of one arm with one seed.

    Attributes:
        experiment: The experiment file.
        seed: Seed of weights, order and random starts.
        name: Name of the arm.
        arm: Configuration of the arm.
        reporter: Reporter of the stages.
        told: Names of the findings that have been reported, shared by all chains.
        outcomes: Outcomes of the stages, in their order.
    """

    experiment: Experiment
    seed: int
    name: str
    arm: ArmConfig
    reporter: Reporter
    told: set[str] = field(default_factory=set)
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self) -> RunRecord:
        """Train and evaluate; arms of a seed with the same options of train share the warm-up."""
        base = self.experiment.folder / f"seed-{self.seed}"
        epochs, rounds = self.experiment.schedule[0], list[Path]()
        if self.arm.reweight == "consistency":
            model = self._warmup(base)
            stops, whole = self.experiment.stops, self.reporter
            for number, until in enumerate(stops, 1):
                folder = base / self.name / str(number)
                own = replace(self, reporter=within(whole, f"round {number} of {len(stops)}"))
                model = own._round(model, folder, rounds[-1] if rounds else None, until)
                rounds.append(folder)
        elif self.arm.train:
            model = self._train(base / self.name / MODEL, until_epoch=epochs)
        else:
            output = base / self.name / MODEL
            model = self._train(output, resume=self._warmup(base), until_epoch=epochs)
        evaluation = self._evaluate(model, base / self.name / EVALUATION)
        return self._record(model, evaluation, rounds)

    def _warmup(self, base: Path) -> Path:
        """Train the warm-up, in the folder of the arm if its options of train differ."""
        folder = base / self.name if self.arm.train else base
        return self._train(folder / WARMUP_FOLDER / MODEL, until_epoch=self.experiment.schedule[1])

    def _round(self, model: Path, folder: Path, last: Path | None, until: int) -> Path:
        """Perturb, explain, score, and continue the training; return the new model."""
        perturbing = self._perturb_config(model, folder / SAMPLES, last and last / SAMPLES)
        explaining = self._explain_config(model, folder / HEATMAPS, perturbing.output)
        if one_pass.covers(perturbing, explaining):
            perturbing = perturbing.model_copy(update={"heatmaps": explaining.output})
            samples = self._done(perturb.run(perturbing, self.reporter))
        else:
            samples = self._done(perturb.run(perturbing, self.reporter))
            self._done(explain.run(explaining, self.reporter))
        weights = self._score(explaining.output, last and last / WEIGHTS)
        return self._train(
            folder / MODEL,
            resume=model,
            weights=weights,
            samples=samples if self.arm.samples else None,
            until_epoch=until,
        )

    def _perturb_config(self, model: Path, output: Path, init: Path | None) -> PerturbConfig:
        """Return the options of perturb; attacks with `init` start from the last round."""
        given = {**self.arm.perturb, "seed": self.seed, "model": str(model), "output": output}
        cold = self.experiment.stage(PerturbConfig, "perturb", **given)
        if "init" in inapplicable_options(cold.attack):
            return cold
        return self.experiment.stage(PerturbConfig, "perturb", **given, init=init)

    def _explain_config(self, model: Path, output: Path, samples: Path) -> ExplainConfig:
        given = {**self.arm.explain, "model": str(model), "samples": samples, "output": output}
        return self.experiment.stage(ExplainConfig, "explain", **given)

    def _score(self, heatmaps: Path, previous: Path | None) -> Path:
        given = {**self.arm.score, "heatmaps": heatmaps, "previous": previous}
        config = self.experiment.stage(ScoreConfig, "score", **given)
        return self._done(score.run(config, self.reporter))

    def _train(self, output: Path, **given: object) -> Path:
        given = {**self.arm.train, "seed": self.seed, "output": output, **given}
        config = self.experiment.stage(TrainConfig, "train", **given)
        return self._done(train.run(config, self.reporter))

    def _evaluate(self, model: Path, output: Path) -> Path:
        config = self.experiment.stage(EvaluateConfig, "evaluate", model=str(model), output=output)
        return self._done(evaluate.run(config, self.reporter))

    def _done(self, outcome: Outcome) -> Path:
        """Keep a stage's outcome, report findings of a new kind, and return its path."""
        self.outcomes.append(outcome)
        new = tuple(one for one in outcome.findings if one.name not in self.told)
        self.told.update(one.name for one in new)
        warn(replace(outcome, findings=new), self.reporter)
        return outcome.path

    def _record(self, model: Path, evaluation: Path, rounds: list[Path]) -> RunRecord:
        """Return the record of the run, with paths relative to the folder of the experiment."""
        root = self.experiment.folder
        return RunRecord(
            seed=self.seed,
            arm=self.name,
            model=model.relative_to(root),
            evaluation=evaluation.relative_to(root),
            rounds=tuple(path.relative_to(root) for path in rounds),
        )
