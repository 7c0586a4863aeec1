"""Times our schedules beside what Halide's own autoschedulers make of the same algorithms.

The autoschedulers get the extents in generators/operation.h as estimates; the first of the shapes
below has them. Their kernels are compiled by the build's generators and timed by the tuner's
driver, interleaved with ours in several processes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
from collections import defaultdict
from pathlib import Path

import tables
from measurements import OPERATION_TITLES
from programs import ROOT
from tune_candidates import Compiler, Kernel, kernels_of

SCHEDULERS = {"Adams2019": "adams2019", "Mullapudi2016": "mullapudi2016"}
SHAPES = ((64, 256, 512), (32, 64, 1024), (8, 512, 64))
PROCESSES = 3
OURS = "ours"


def plugin(library: str) -> Path:
    folders = ROOT.glob(".venv/lib/python*/site-packages/halide/lib64")
    return next(folders) / f"libautoschedule_{library}.so"


def compile_all(compiler: Compiler, threads: int) -> dict[str, str | None]:
    """Each schedule's name, and why it does not compile, if so."""
    failures = {OURS: compiler.compile_with(OURS, [])}
    for name, library in SCHEDULERS.items():
        words = ["-p", str(plugin(library)), f"autoscheduler={name}"]
        words.append(f"autoscheduler.parallelism={threads}")
        failures[name] = compiler.compile_with(name, words)
    return failures


def run_driver(
    driver: Path, shape: tuple[int, int, int], threads: int, seconds: float, libraries: list[Path]
) -> dict[str, float]:
    """The fastest sample of each that works, in ns."""
    words = [*map(str, shape), str(threads), str(seconds), *map(str, libraries)]
    done = subprocess.run([str(driver), *words], capture_output=True, text=True, check=False)
    if done.stderr:
        print(f"  {shape}: {done.stderr.strip()[-120:]}")
    lines = (line.split("\t") for line in done.stdout.splitlines())
    return {Path(path).stem: float(best) for path, best, *_ in lines}


def compare(kernel: Kernel, arguments: argparse.Namespace) -> list[list[str]]:
    """A line for each autoscheduler and shape."""
    folder = arguments.build_dir.parent / "tune"
    compiler = Compiler(arguments.build_dir, folder, kernel)
    failures = compile_all(compiler, arguments.threads)
    lines = []
    for name in SCHEDULERS:
        where = [f"{kernel.operation}, {kernel.layout}", name]
        if failures[name] is not None:
            lines.append([*where, "-", "-", "-", f"does not compile: {failures[name][:60]}"])
            continue
        libraries = [compiler.folder / f"{each}.so" for each in (OURS, name)]
        driver = arguments.build_dir / "bench/halnorm_tune_driver"
        for shape in SHAPES:
            times: dict[str, list[float]] = defaultdict(list)
            for _ in range(PROCESSES):
                best = run_driver(driver, shape, arguments.threads, arguments.min_time, libraries)
                if len(best) < len(libraries):
                    break
                for key, ns in best.items():
                    times[key].append(ns)
            if not times:
                lines.append([*where, str(shape), "-", "-", "fails"])
                continue
            ours, theirs = (statistics.median(times[key]) for key in (OURS, name))
            lines.append([*where, str(shape), tables.us(ours), tables.us(theirs)])
            lines[-1].append(f"{theirs / ours:.2f}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build-dir", type=Path, default=ROOT / "build/release")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--min-time", type=float, default=0.2, help="seconds for each schedule")
    arguments = parser.parse_args()
    operations = [f"batch_norm_{operation}" for operation in OPERATION_TITLES]
    lines = []
    for kernel in kernels_of(arguments.build_dir):
        if kernel.operation in operations and kernel.dtype == "f32":
            print(kernel.name, flush=True)
            lines += compare(kernel, arguments)
    header = ["kernel", "autoscheduler", "shape", "ours us", "its us", "its / ours"]
    print(f"\nthreads: {arguments.threads}\n\n{tables.table(header, lines, markdown=True)}")


if __name__ == "__main__":
    main()
