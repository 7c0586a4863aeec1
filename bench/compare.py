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
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from results import programs, tables
from results.measurements import KEYS, OURS, parse_name
from results.programs import ROOT, Program
from run import common_arguments, options_of, parse, select, warn_if_busy
from scipy.stats import gmean

LEAST_CHANGE = 1.02
SIDES = ("base", "new", "again")  # again: the same program as new
SAME = ("CMAKE_BUILD_TYPE", "CMAKE_CXX_COMPILER", "HALNORM_TARGETS", "HalideHelpers_DIR")


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


def _source_of(commit: str, home: Path) -> Path:
    source, unfinished = home / "source", home / "unfinished"
    if not source.exists():
        unfinished.mkdir(parents=True, exist_ok=True)
        archive = home / "source.tar"
        _git("archive", f"--output={archive}", commit)
        subprocess.run(["tar", "-xf", str(archive), "-C", str(unfinished)], check=True)
        archive.unlink()
        unfinished.rename(source)
    return source


def build_base(revision: str, build: Path) -> Program:
    """Builds the revision in a folder of its own, for the same targets as this build."""
    commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}")
    home = ROOT / "build/compare" / commit[:12]
    source, there, tools = _source_of(commit, home), home / "build", ROOT / ".venv/bin"
    options = {name: _cached(build, name) for name in SAME}
    options |= {f"HALNORM_{name}": "OFF" for name in ("TESTS", "EXAMPLES", "INSTALL")}
    given = [f"-D{name}={value}" for name, value in options.items() if value]
    configure = [str(tools / "cmake"), "-S", str(source), "-B", str(there), "-G", "Ninja", *given]
    make = [str(tools / "cmake"), "--build", str(there), "--target", "halnorm_bench"]
    print(f"building {revision} ({commit[:12]})", flush=True)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    for command in (configure, make):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode != 0:
            sys.exit(f"{revision} does not build:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return Program("base", (str(there / "bench/halnorm_bench"),))


def measure(
    sides: dict[str, Program], selected: dict, arguments: argparse.Namespace
) -> list[dict[str, object]]:
    """A row for each case, side and round."""
    rows = []
    for turn in range(arguments.rounds):
        first = turn % len(SIDES)
        for count, (shape, pattern) in enumerate(selected.items(), 1):
            where = f"round {turn + 1}/{arguments.rounds}, shape {count}/{len(selected)}"
            print(f"{where}: {shape.name}", flush=True)
            # The floor is left out: both sides move the same memory.
            options = options_of(shape, f"{pattern}.*/{OURS}", arguments)
            for side in SIDES[first:] + SIDES[:first]:
                for entry in sides[side].measure(options, arguments.min_time)["benchmarks"]:
                    sample = {"side": side, "round": turn, "ns": entry["best_ns"]}
                    rows.append(parse_name(entry["name"]) | sample)
    return rows


def changes(rows: list[dict[str, object]]) -> pd.DataFrame:
    """For each case that all sides have: times, the ratio base / new, above 1 if we are faster, and
    the noise: the largest ratio of ours to ours, either way."""
    frame = pd.DataFrame(rows).pivot(index=[*KEYS, "round"], columns="side", values="ns").dropna()
    frame["ratio"] = frame["base"] / frame["new"]
    frame["noise"] = np.exp(np.abs(np.log(frame["again"] / frame["new"])))
    cases = frame.groupby(KEYS)
    result = cases[["base", "new", "ratio"]].median()
    result["low"], result["high"] = cases["ratio"].min(), cases["ratio"].max()
    result["noise"] = cases["noise"].max()
    one_side = (result["low"] > 1) | (result["high"] < 1)
    distance = np.exp(np.abs(np.log(result["ratio"])))
    result["counts"] = one_side & (distance > np.maximum(result["noise"], LEAST_CHANGE))
    result["slower"] = result["counts"] & (result["ratio"] < 1)
    return result


def text_of(changed: pd.DataFrame) -> str:
    lines = changed.sort_values("ratio").reset_index()
    case = lines["operation"] + "/" + lines["layout"] + "/" + lines["dtype"] + "/" + lines["shape"]
    lines["case"] = case + ", threads: " + lines["threads"].astype(str)
    for name in ("base", "new"):
        lines[f"{name} us"] = lines[name].map(tables.us)
    lines["base / new"] = lines["ratio"].map(tables.ratio)
    lines["min..max"] = lines["low"].map(tables.ratio) + ".." + lines["high"].map(tables.ratio)
    lines["noise"] = lines["noise"].map(tables.ratio)
    columns = ["case", "base us", "new us", "base / new", "min..max", "noise"]
    return tables.table(lines[columns], markdown=False)


def report(result: pd.DataFrame) -> int:
    """Prints what changed; the exit status."""
    changed, slower = result[result["counts"]], int(result["slower"].sum())
    if len(changed):
        print(f"\n{text_of(changed)}")
    mean = gmean(result["ratio"])
    print(f"\n{len(result)} cases: {slower} slower, {len(changed) - slower} faster,")
    print(f"the others within the noise; geometric mean of base / new: {mean:.3f}")
    return 1 if slower else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        prog="./dev bench",
        formatter_class=argparse.RawTextHelpFormatter,
        parents=[common_arguments("6")],
    )
    parser.add_argument("--compare", metavar="BASE", required=True, help="a git revision")
    arguments = parse(parser, 6)
    ours = programs.ours(arguments.build_dir)
    base = build_base(arguments.compare, arguments.build_dir)
    known = {shape.name for shape in base.shapes()}
    selected = select([shape for shape in ours.shapes() if shape.name in known], arguments)
    warn_if_busy()
    rows = measure({"base": base, "new": ours, "again": ours}, selected, arguments)
    sys.exit(report(changes(rows)))


if __name__ == "__main__":
    main()
