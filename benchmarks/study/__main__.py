"""Run a grid of trainings, choose the settings of the arms, or collect the results.

    python -m benchmarks.study run GRID --output FOLDER         trains and evaluates
    python -m benchmarks.study choose GRID --output FOLDER      writes the tuned file of the grid
    python -m benchmarks.study collect GRID --output FOLDER     writes docs/study.json and plots

GRID is a file of pipelines/study; `--help` lists the options. Each call continues where the last
one ended. `run` returns 1 if a job failed; the others are finished.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.study.grid import Grid, read_grid
from ectool.errors import EctoolError

RECORD = Path("docs/study.json")


def main() -> None:
    """Run the command line."""
    options = _parse()
    try:
        grid = read_grid(options.grid)
        COMMANDS[options.command](grid, options)
    except EctoolError as error:
        sys.exit(str(error))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.study", description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("grid", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="of all jobs, such as cuda")
    parser.add_argument("--only", default="", help="cells whose name begins like this")
    parser.add_argument("--quick", action="store_true", help="jobs of [study.quick] alone")
    parser.add_argument("--replace", action="store_true", help="jobs of other versions of the code")
    parser.add_argument("--record", type=Path, default=RECORD, help="JSON of `collect`")
    return parser.parse_args()


def _run(grid: Grid, options: argparse.Namespace) -> None:
    from benchmarks.study.pool import run_all

    jobs = grid.quick() if options.quick else grid.jobs()
    jobs = [job for job in jobs if job.cell.startswith(options.only)]
    failed = run_all(
        jobs,
        options.output,
        processes=options.processes,
        replace=options.replace,
        device=options.device,
    )
    if failed:
        sys.exit(f"{failed} jobs failed; the same command tries them again")


def _choose(grid: Grid, options: argparse.Namespace) -> None:
    from benchmarks.study.tuning import choose, write_json

    target = grid.path.parent / grid.study["writes"]
    write_json(target, choose(grid, options.output))
    print(target)


def _collect(grid: Grid, options: argparse.Namespace) -> None:
    from benchmarks.study.collect import collect
    from benchmarks.study.plots import draw
    from benchmarks.study.tuning import write_json

    document = collect(grid, options.output)
    write_json(options.record, document)
    draw(document, options.record.with_suffix(""))
    print(options.record)


COMMANDS = {"run": _run, "choose": _choose, "collect": _collect}

if __name__ == "__main__":
    main()
