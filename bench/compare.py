"""Compares this tree's build with that of another revision, and says which cases changed.

In each round each shape is measured by the other revision's program, by ours, and by ours once
more, in new processes and in an order that turns from round to round. A case counts as changed if

- in all rounds the same side is faster, and
- the median of the rounds' ratios is further from 1 than any round's ratio of ours to ours, and
- further than 2 %.

With six rounds, equal programs pass the first of these in 3 of 100 cases, and rarely the second as
well. The exit status is 1 if a case became slower.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import programs
import tables
from measurements import OURS, Case, Spread, geometric_mean, parse_name
from programs import ROOT, Program
from run import add_common_arguments, fill_in_defaults, options_of, select, warn_if_busy

LEAST_CHANGE = 1.02
SIDES = ("base", "new", "again")  # again: the same program as new

# times[side][case] in ns, round by round
Times = dict[str, dict[Case, list[float]]]


@dataclass(frozen=True)
class Change:
    """Ratios above 1: faster than the base."""

    case: Case
    base: float
    new: float
    ratio: Spread
    noise: float  # the largest ratio of ours to ours, either way

    @property
    def counts(self) -> bool:
        one_side = self.ratio.low > 1 or self.ratio.high < 1
        distance = abs(math.log(self.ratio.median))
        return one_side and distance > math.log(max(self.noise, LEAST_CHANGE))

    @property
    def slower(self) -> bool:
        return self.counts and self.ratio.median < 1


def change_of(case: Case, times: Times) -> Change:
    base, new, again = (times[side][case] for side in SIDES)
    ratio = Spread.of(b / n for b, n in zip(base, new, strict=True))
    noise = max(max(a / n, n / a) for a, n in zip(again, new, strict=True))
    return Change(case, statistics.median(base), statistics.median(new), ratio, noise)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, prog="./dev bench", formatter_class=argparse.RawTextHelpFormatter
    )
    add_common_arguments(parser)
    parser.add_argument("--compare", metavar="BASE", required=True, help="a git revision")
    arguments = parser.parse_args()
    if arguments.rounds is None:
        arguments.rounds = 6
    fill_in_defaults(parser, arguments)
    return arguments


def _git(*words: str) -> str:
    command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"git {' '.join(words)}: {done.stderr}")
    return done.stdout.strip()


def _cached(build: Path, name: str) -> str:
    """What the build was configured with."""
    text = (build / "CMakeCache.txt").read_text()
    found = re.search(rf"^{name}:\w+=(.*)$", text, re.MULTILINE)
    return found.group(1) if found else ""


def build_base(revision: str, build: Path) -> Program:
    """Builds the revision in a folder of its own, for the same targets as this build."""
    commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}")
    home = ROOT / "build/compare" / commit[:12]
    source, there = home / "source", home / "build"
    if not source.exists():
        unfinished = home / "unfinished"
        unfinished.mkdir(parents=True, exist_ok=True)
        archive = home / "source.tar"
        _git("archive", f"--output={archive}", commit)
        subprocess.run(["tar", "-xf", str(archive), "-C", str(unfinished)], check=True)
        archive.unlink()
        unfinished.rename(source)
    tools = ROOT / ".venv/bin"
    same = {
        name: _cached(build, name)
        for name in (
            "CMAKE_BUILD_TYPE",
            "CMAKE_CXX_COMPILER",
            "HALNORM_TARGETS",
            "HalideHelpers_DIR",
        )
    }
    off = {f"HALNORM_{name}": "OFF" for name in ("TESTS", "EXAMPLES", "INSTALL")}
    options = [f"-D{name}={value}" for name, value in (same | off).items() if value]
    configure = [str(tools / "cmake"), "-S", str(source), "-B", str(there), "-G", "Ninja", *options]
    make = [str(tools / "cmake"), "--build", str(there), "--target", "halnorm_bench"]
    print(f"building {revision} ({commit[:12]})", flush=True)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    for command in (configure, make):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode != 0:
            sys.exit(f"{revision} does not build:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return Program("base", (str(there / "bench/halnorm_bench"),))


def measure(sides: dict[str, Program], selected: dict, arguments: argparse.Namespace) -> Times:
    times: Times = {side: defaultdict(list) for side in SIDES}
    for turn in range(arguments.rounds):
        first = turn % len(SIDES)
        for count, (shape, pattern) in enumerate(selected.items(), 1):
            where = f"round {turn + 1}/{arguments.rounds}, shape {count}/{len(selected)}"
            print(f"{where}: {shape.name}", flush=True)
            # The floor is left out: both sides move the same memory.
            options = options_of(shape, f"{pattern}.*/{OURS}", arguments)
            for side in SIDES[first:] + SIDES[:first]:
                benchmarks = sides[side].measure(options, arguments.min_time)["benchmarks"]
                assert isinstance(benchmarks, list)
                for entry in benchmarks:
                    times[side][parse_name(entry["name"])[1]].append(entry["best_ns"])
    return times


def text_of(changes: list[Change]) -> str:
    header = ["case", "base us", "new us", "base / new", "min..max", "noise"]
    lines = []
    for change in sorted(changes, key=lambda change: change.ratio.median):
        case, ratio = change.case, change.ratio
        name = f"{case.operation}/{case.layout}/{case.dtype}/{case.shape}, threads: {case.threads}"
        spread = f"{ratio.low:.2f}..{ratio.high:.2f}"
        line = [name, tables.us(change.base), tables.us(change.new), f"{ratio.median:.2f}", spread]
        lines.append([*line, f"{change.noise:.2f}"])
    return tables.table(header, lines, markdown=False)


def report(changes: list[Change]) -> int:
    """Prints what changed; the exit status."""
    counting = [change for change in changes if change.counts]
    slower = [change for change in counting if change.slower]
    if counting:
        print(f"\n{text_of(counting)}")
    mean = geometric_mean(change.ratio.median for change in changes)
    print(f"\n{len(changes)} cases: {len(slower)} slower, {len(counting) - len(slower)} faster,")
    print(f"the others within the noise; geometric mean of base / new: {mean:.3f}")
    return 1 if slower else 0


def main() -> None:
    arguments = parse_arguments()
    ours = programs.ours(arguments.build_dir)
    base = build_base(arguments.compare, arguments.build_dir)
    known = {shape.name for shape in base.shapes()}
    selected = select([shape for shape in ours.shapes() if shape.name in known], arguments)
    if not selected:
        sys.exit("no shape is left to measure")
    warn_if_busy()
    times = measure({"base": base, "new": ours, "again": ours}, selected, arguments)
    both = [case for case in times["new"] if case in times["base"]]
    sys.exit(report([change_of(case, times) for case in both]))


if __name__ == "__main__":
    main()
