"""Searches the constants of the schedules for the CPU it runs on.

Candidates are compiled ahead of time by the build's own generators, and timed beside the default
in the same processes. What is faster beyond doubt is written to cmake/tuned/<cpu>.cmake, which the
next build uses. Stopped, it goes on where it was; see docs/tuning.md.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import re
import time
from pathlib import Path

import programs
import tune_candidates as candidates
import tune_file
from measurements import Shape
from programs import ROOT
from run import warn_if_busy
from tune_candidates import Compiler, Kernel, Settings
from tune_search import Place, Search, State, Verdict

# Faster by less, even if beyond doubt, is not worth an entry.
LEAST_GAIN = 0.99
# And no shape may lose more than this, whatever the mean gains.
WORST = 1.05
MOST_CANDIDATES = 60


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="./dev tune")
    parser.add_argument("--build-dir", type=Path, default=ROOT / "build/release")
    parser.add_argument("--operation", default="", help="regex, like '^batch_norm_train$'")
    parser.add_argument("--layout", choices=["ncl", "nlc"])
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--shapes", help="regex on their names; default: those of bench --quick")
    parser.add_argument("--threads", help="thread counts, like 1,4; default: 1 and one per core")
    parser.add_argument("--budget", type=float, default=600, help="seconds in all")
    parser.add_argument("--processes", type=int, default=6, help="of the final comparison")
    parser.add_argument("--space", type=Path, default=ROOT / "bench/tune_space.json")
    parser.add_argument("--output", type=Path, help="default: cmake/tuned/<this CPU>.cmake")
    arguments = parser.parse_args()
    if arguments.processes < 2:
        parser.error("--processes must be at least 2: one has no spread")
    if arguments.output is None:
        arguments.output = ROOT / f"cmake/tuned/{tune_file.cpu_model()}.cmake"
    return arguments


def places_of(shapes: list[Shape], kernel: Kernel, arguments: argparse.Namespace) -> list[Place]:
    cores = os.cpu_count() or 1
    threads = [int(word) for word in (arguments.threads or f"1,{cores}").split(",")]
    wanted = re.compile(arguments.shapes) if arguments.shapes else None
    chosen = [
        shape
        for shape in shapes
        if (wanted.search(shape.name) if wanted else shape.quick) and kernel.layout in shape.layouts
    ]
    return [Place(shape, count) for shape in chosen for count in sorted(set(threads))]


def key_of(compiler: Compiler, wanted: list[Settings], places: list[Place]) -> str:
    """What a measurement depends on; anything else, and it is made anew."""
    parts = [compiler.fingerprint, json.dumps(wanted), *(place.name for place in places)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def is_better(verdict: Verdict) -> bool:
    return verdict.high < LEAST_GAIN and verdict.worst < WORST


def comment_of(verdict: Verdict, count: int) -> str:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    gain = f"{verdict.ratio:.3f} ({verdict.low:.3f}..{verdict.high:.3f})"
    return (
        f"# {gain} of the time with the schedule's own constants, 95 % interval;\n"
        f"# {count} shapes and thread counts, worst {verdict.worst:.3f} at {verdict.worst_place};"
        f" {today}\n"
    )


def tune(kernel: Kernel, shapes: list[Shape], budget: float, arguments: argparse.Namespace) -> None:
    until = time.monotonic() + budget
    space = json.loads(arguments.space.read_text())[kernel.operation][kernel.layout]
    folder = arguments.build_dir.parent / "tune"
    compiler = Compiler(arguments.build_dir, folder, kernel)
    wanted = candidates.choices(space, MOST_CANDIDATES)
    places = places_of(shapes, kernel, arguments)
    print(f"\n{kernel.name}: {len(wanted)} candidates, {len(places)} places, {budget:.0f} s")
    compiled = compiler.compile_all(wanted, os.cpu_count() or 1)
    print(f"  {len(compiled)} differ", flush=True)
    state = State.load(folder / f"{kernel.name}.json", key_of(compiler, wanted, places))
    search = Search(arguments.build_dir / "bench/halnorm_tune_driver", compiled, places, state)
    search.say = lambda text: print(f"  {text}", flush=True)
    verdicts = search.run(until - time.monotonic(), arguments.processes)
    for verdict in verdicts:
        interval = f"{verdict.low:.3f}..{verdict.high:.3f}"
        worst = f"worst {verdict.worst:.3f} at {verdict.worst_place}"
        print(f"  {verdict.name}: {verdict.ratio:.3f} ({interval}) of the default's time, {worst}")
    better = next((verdict for verdict in verdicts if is_better(verdict)), None)
    entries = tune_file.read(arguments.output)
    if better is None:
        print("  the default stays: nothing is faster beyond doubt")
        entries.pop(kernel.name, None)
    else:
        print(f"  kept: {better.name}")
        entries[kernel.name] = comment_of(better, len(places)), better.name
    if entries or arguments.output.exists():
        tune_file.write(arguments.output, entries)


def main() -> None:
    arguments = parse_arguments()
    space = json.loads(arguments.space.read_text())
    kernels = [
        kernel
        for kernel in candidates.kernels_of(arguments.build_dir)
        if re.search(arguments.operation, kernel.operation)
        and kernel.layout in space.get(kernel.operation, {})
        and kernel.layout == (arguments.layout or kernel.layout)
        and kernel.dtype == arguments.dtype
    ]
    if not kernels:
        raise SystemExit("no kernel of the build, and of bench/tune_space.json, is meant")
    warn_if_busy()
    shapes = programs.ours(arguments.build_dir).shapes()
    until = time.monotonic() + arguments.budget
    for index, kernel in enumerate(kernels):
        tune(kernel, shapes, (until - time.monotonic()) / (len(kernels) - index), arguments)
    if arguments.output.exists():
        print(f"\n{arguments.output} is used by the next build")


if __name__ == "__main__":
    main()
