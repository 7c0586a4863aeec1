"""Searches the constants of the schedules for the CPU it runs on.

The build's own generators compile the candidates that Optuna proposes; of thresholds, the library
takes other ones. Each is timed beside the default in the same processes. A candidate that is faster
beyond doubt is written to cmake/tuned/<cpu>.cmake, which the next build uses. A stopped search
continues; see docs/tuning.md.
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
from typing import Any

from results.measurements import suite_shapes
from results.programs import ROOT, Program
from run import warn_if_busy
from tuning import file
from tuning.candidates import (
    Candidate,
    CompileError,
    Compiler,
    Kernel,
    Thresholds,
    kernels_of,
)
from tuning.search import Constants, Place, Search, ThresholdSearch, Verdict

# A smaller gain is not worth an entry, even if it is significant.
LEAST_GAIN = 0.99
# No shape may lose more than this, whatever the mean gains.
WORST = 1.05
SEARCH_SHARE = 0.6  # of the time; the rest is for the decision


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
    parser.add_argument("--bits", action="store_true",
                        help="also constants of sums, which change bits of results")  # fmt: skip
    parser.add_argument("--thresholds", action="store_true",
                        help="of plans, instead of constants of kernels")  # fmt: skip
    parser.add_argument("--try", dest="tried", action="append", default=[], metavar="WORDS",
                        help="compares these words to the generator; no search")  # fmt: skip
    parser.add_argument("--output", type=Path, help="default: cmake/tuned/<this CPU>.cmake")
    arguments = parser.parse_args()
    if arguments.processes < 2:
        parser.error("--processes must be at least 2: one has no spread")
    if arguments.output is None:
        arguments.output = ROOT / f"cmake/tuned/{file.cpu_model()}.cmake"
    return arguments


def places_of(layout: str, arguments: argparse.Namespace) -> list[Place]:
    threads = {int(word) for word in (arguments.threads or f"1,{os.cpu_count() or 1}").split(",")}
    return [
        Place(shape, count)
        for shape in suite_shapes()
        if (re.search(arguments.shapes, shape.name) if arguments.shapes else shape.quick)
        if layout in shape.layouts
        for count in sorted(threads)
    ]


def is_better(verdict: Verdict, again: Verdict) -> bool:
    """`again`: of the default beside itself, whose interval is the noise."""
    return verdict.high < min(LEAST_GAIN, again.low) and verdict.worst < WORST


def comment_of(verdict: Verdict, count: int) -> str:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return (
        f"# {verdict} of the time with the values before, 95 % interval;\n"
        f"# {count} shapes and thread counts, worst {verdict.worst:.3f} at {verdict.worst_place};"
        f" {today}\n"
    )


def keep(kernel: Kernel, verdicts: list[Verdict], again: Verdict, count: int, output: Path) -> None:
    """Writes the better one of the finalists into the file, or takes the kernel out of it.

    Thresholds were compared with those of the file, which stay if nothing is better.
    """
    entries = file.read(output)
    old = entries.pop(kernel.name, None)
    better = next((verdict for verdict in verdicts if is_better(verdict, again)), None)
    adds = kernel.operation == "thresholds" and old is not None
    if better is not None:
        words = file.merged(old[1], better.name) if adds else better.name
        entries[kernel.name] = comment_of(better, count), words
    elif adds:
        entries[kernel.name] = old
    kept = f"kept: {better.name}" if better else "the default stays: nothing is faster beyond doubt"
    print(f"  {kept}")
    if entries or output.exists():
        file.write(output, entries)


def tried(compiler: Compiler | Thresholds, arguments: argparse.Namespace) -> list[Candidate]:
    """Those of --try that compile."""
    candidates = []
    for words in arguments.tried:
        try:
            candidates.append(compiler.compile(words.split()))
        except CompileError as error:
            print(f"  {words} does not compile: {error}")
    return candidates


def tune(search: Search, budget: float, arguments: argparse.Namespace) -> None:
    until = time.monotonic() + budget
    compiler, places, constants = search.compiler, search.places, search.constants
    print(f"\n{compiler.kernel.name}: {len(places)} places, {budget:.0f} s")
    search.say = lambda text: print(f"  {text}", flush=True)
    if arguments.tried:
        finalists = tried(compiler, arguments)
    else:
        # A measurement depends on these; if one changes, the search begins anew.
        parts = [compiler.fingerprint, json.dumps(constants), *(place.name for place in places)]
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        studies = arguments.build_dir.parent / "tune/studies.sqlite"
        studies.parent.mkdir(parents=True, exist_ok=True)
        study = search.study(f"sqlite:///{studies}", key)
        finalists = search.run(study, SEARCH_SHARE * (until - time.monotonic()))
    finalists.append(compiler.default_again())
    verdicts = search.compare(finalists, arguments.processes, until - time.monotonic())
    for verdict in verdicts:
        worst = f"worst {verdict.worst:.3f} at {verdict.worst_place}"
        print(f"  {verdict.name}: {verdict} of the default's time, {worst}")
    *others, again = verdicts
    if not arguments.tried:
        others.sort(key=lambda verdict: verdict.ratio)
        keep(compiler.kernel, others, again, len(places), arguments.output)


def chosen(constants: Constants, names: list[str], arguments: argparse.Namespace) -> Constants:
    """Without those that change bits, unless they are wanted."""
    return {
        name: constants[name]
        for name in names
        if arguments.bits or not constants[name].get("changes_bits")
    }


def kernels_to_tune(space: dict[str, Any], arguments: argparse.Namespace) -> list[Kernel]:
    return [
        kernel
        for kernel in kernels_of(arguments.build_dir)
        if re.search(arguments.operation, kernel.operation)
        and kernel.layout in space["kernels"].get(kernel.operation, {})
        and kernel.layout == (arguments.layout or kernel.layout)
        and kernel.dtype == arguments.dtype
    ]


def kernel_search(kernel: Kernel, space: dict[str, Any], arguments: argparse.Namespace) -> Search:
    build = arguments.build_dir
    names = space["kernels"][kernel.operation][kernel.layout]
    return Search(
        build / "bench/halnorm_tune_driver",
        Compiler(build, build.parent / "tune", kernel),
        places_of(kernel.layout, arguments),
        chosen(space["constants"], names, arguments),
    )


def threshold_search(space: dict[str, Any], arguments: argparse.Namespace) -> Search:
    """Of the calls that bench measures. The CPU's own thresholds are asked of the program."""
    driver = arguments.build_dir / "bench/halnorm_bench"
    asked = ["--shape=2x1", "--benchmark_filter=^infer/nlc/f32/.*/halnorm/"]
    own = Program("halnorm", (str(driver),)).measure(asked, 0.001)["context"]["thresholds"]
    space = {name: dict(one) for name, one in space["thresholds"].items()}
    for name, value in (word.split("=") for word in own.split()):
        space[name]["default"] = int(value)
    places = [
        Place(place.shape, place.threads, f"{operation}/{layout}/{arguments.dtype}")
        for layout in ([arguments.layout] if arguments.layout else ["ncl", "nlc"])
        for place in places_of(layout, arguments)
        for operation in ("train", "infer", "backward")
        if re.search(arguments.operation, operation)
    ]
    return ThresholdSearch(
        driver, Thresholds(driver), places, chosen(space, list(space), arguments)
    )


def main() -> None:
    arguments = parse_arguments()
    space = json.loads((ROOT / "bench/tuning/space.json").read_text())
    kernels = [] if arguments.thresholds else kernels_to_tune(space, arguments)
    if not arguments.thresholds and not kernels:
        raise SystemExit("no kernel of the build, and of bench/tuning/space.json, is meant")
    warn_if_busy()
    if arguments.thresholds:
        tune(threshold_search(space, arguments), arguments.budget, arguments)
    until = time.monotonic() + arguments.budget
    for index, kernel in enumerate(kernels):
        left = max(0.0, until - time.monotonic()) / (len(kernels) - index)
        tune(kernel_search(kernel, space, arguments), left, arguments)
    if arguments.output.exists():
        print(f"\n{arguments.output} is used by the next build")


if __name__ == "__main__":
    main()
