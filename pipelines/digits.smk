# All arms of digits.toml as a Snakemake workflow:
#
#     snakemake --snakefile pipelines/digits.smk --cores 4
#
# `--config out=run/other seeds=[0]` changes the variables below. `file` has the options of the stages;
# the schedule is here: `warmup` epochs before the first round, a round before every further `every`.
# An interrupted job goes on where it stopped, because ectool keeps finished shards and epochs beside
# its output, and Snakemake removes only the output.
FILE = config.get("file", "pipelines/digits.toml")
OUT = config.get("out", "run/digits")
SEEDS = config.get("seeds", [0, 1, 2])
EPOCHS, WARMUP, EVERY = (config.get(k, n) for k, n in (("epochs", 30), ("warmup", 6), ("every", 2)))
OBJECTIVES = config.get("objectives", ["adversarial", "ec"])  # arms that are one command
CORES = config.get("threads", 1)  # of each command

STOPS = [min(start + EVERY, EPOCHS) for start in range(WARMUP, EPOCHS, EVERY)]
ARMS = ["plain", "consistency", *OBJECTIVES]
SEED = OUT + "/seed-{seed}"
ROUND = SEED + "/consistency/{round}"


def model_of(arm):
    """Return the last model of an arm."""
    return f"{SEED}/{arm}" + (f"/{len(STOPS)}/model" if arm == "consistency" else "/model")


def model_before(wildcards):
    """Return the model that a round starts from."""
    last = int(wildcards.round) - 1
    return f"{SEED}/consistency/{last}/model" if last else f"{SEED}/warmup/model"


def of_last_round(name):
    """Return the function that names an artifact of the last round; no file in the first round."""
    return lambda wildcards: (
        f"{SEED}/consistency/{last}/{name}" if (last := int(wildcards.round) - 1) else []
    )


wildcard_constraints:
    seed=r"\d+",
    round=r"\d+",
    objective="|".join(OBJECTIVES) or "none",


rule all:
    input:
        expand(SEED + "/{arm}/eval", seed=SEEDS, arm=ARMS),


rule warmup:
    output:
        directory(SEED + "/warmup/model"),
    threads: CORES
    shell:
        "ectool train --config {FILE} --seed {wildcards.seed} --until-epoch {WARMUP}"
        " --threads {threads} --output {output}"


rule plain:
    input:
        SEED + "/warmup/model",
    output:
        directory(model_of("plain")),
    threads: CORES
    shell:
        "ectool train --config {FILE} --resume {input} --until-epoch {EPOCHS}"
        " --threads {threads} --output {output}"


rule objective:
    output:
        directory(SEED + "/{objective}/model"),
    threads: CORES
    shell:
        "ectool train --config {FILE} --seed {wildcards.seed} --objective {wildcards.objective}"
        " --until-epoch {EPOCHS} --threads {threads} --output {output}"


rule perturb:
    input:
        model=model_before,
        last=of_last_round("adv.zarr"),
    output:
        directory(ROUND + "/adv.zarr"),
    params:
        init=lambda wildcards, input: f"--init {input.last}" if input.last else "",
    threads: CORES
    shell:
        "ectool perturb --config {FILE} --seed {wildcards.seed} --model {input.model} {params.init}"
        " --threads {threads} --output {output}"


rule explain:
    input:
        model=model_before,
        samples=ROUND + "/adv.zarr",
    output:
        directory(ROUND + "/cams.zarr"),
    threads: CORES
    shell:
        "ectool explain --config {FILE} --model {input.model} --samples {input.samples}"
        " --threads {threads} --output {output}"


rule score:
    input:
        heatmaps=ROUND + "/cams.zarr",
        last=of_last_round("weights.zarr"),
    output:
        directory(ROUND + "/weights.zarr"),
    params:
        previous=lambda wildcards, input: f"--previous {input.last}" if input.last else "",
    shell:
        "ectool score --config {FILE} --heatmaps {input.heatmaps} {params.previous}"
        " --output {output}"


rule train:
    input:
        model=model_before,
        weights=ROUND + "/weights.zarr",
        samples=ROUND + "/adv.zarr",
    output:
        directory(ROUND + "/model"),
    params:
        until=lambda wildcards: STOPS[int(wildcards.round) - 1],
    threads: CORES
    shell:
        "ectool train --config {FILE} --resume {input.model} --weights {input.weights}"
        " --samples {input.samples} --until-epoch {params.until}"
        " --threads {threads} --output {output}"


rule evaluate:
    input:
        lambda wildcards: model_of(wildcards.arm),
    output:
        directory(SEED + "/{arm}/eval"),
    threads: CORES
    shell:
        "ectool evaluate --config {FILE} --model {input} --threads {threads} --output {output}"
