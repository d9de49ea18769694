"""Model folders, evaluations of them, and runs of an experiment."""

from __future__ import annotations

from ..changes import mixed
from ..corpus import DATA, EVALUATE, STUDY
from ..model import Kind, Variant, step

MODEL = (
    step("inspect {x} --json"),
    step("inspect {x} --verify --json", compared=True),
    step("verify {x} --json", compared=True),
    step(f"explain {DATA} --split validation --model {{x}} --output out/cams.zarr", compared=True),
    step(f"{EVALUATE} --model {{x}} --output out/e", compared=True),
)
RESUMED = (step("train --resume {x} --output out/model", compared=True),)
EVALUATION = (
    step("inspect {x} --json"),
    step("inspect {x} --verify --json", compared=True),
    step("verify {x} --json", compared=True),
    step("report {x} --output out/report.html", compared=True),
    step("compare {x} base/eval-half --json", compared=True),
    step("compare base/eval-half {x} --require accuracy>=1 --json", compared=True, codes=(0, 6)),
)
RUN = (
    step("verify {x} --json", compared=True),
    step("report {x} --output out/report.html", compared=True),
    step("run base/toml/experiment.toml --output {x}", compared=True),
)
STUDIED = (
    step(f"{STUDY.replace('base/validity', '{x}')}", compared=True),
    step("verify {x} --json", codes=(0, 3)),
)
KINDS = {
    "models": Kind((Variant("model", MODEL), Variant("half", (*MODEL, *RESUMED))), mixed()),
    "evaluations": Kind((Variant("eval", EVALUATION),), mixed(), ("evaluations",)),
    "validity": Kind((Variant("validity", STUDIED, place="out"),), mixed(), ("validity",)),
    "runs": Kind((Variant("run", RUN, place="out"),), mixed(), ("run",)),
}
