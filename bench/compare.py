"""Compares this tree's build with that of another revision, and says which cases changed.

docs/benchmarks/README.md has the conditions. With six rounds, equal programs pass the first of them
in 3 of 100 cases, and rarely the second as well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from results import programs, tables
from results.measurements import KEYS, OURS, Shape
from results.programs import ROOT, Program, cached
from scipy.stats import gmean

LEAST_CHANGE = 1.02
SAME = ("CMAKE_BUILD_TYPE", "CMAKE_CXX_COMPILER", "HALNORM_TARGETS", "HalideHelpers_DIR")


def _run(*command: str | Path) -> str:
    """A command's output, with the tools of .venv; ends the comparison if it fails."""
    path = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
    if done.returncode != 0:
        words = " ".join(str(word) for word in command)
        sys.exit(f"{words}\nfailed: {done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout.strip()


def build_base(revision: str, build: Path) -> Program:
    """Builds the revision in a folder of its own, for the same targets as this build."""
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", ROOT]
    commit = _run(*git, "rev-parse", "--verify", f"{revision}^{{commit}}")
    home = ROOT / "build/compare" / commit[:12]
    source, there, archive = home / "source", home / "build", home / "source.tar"
    if not source.exists():
        home.mkdir(parents=True, exist_ok=True)
        _run(*git, "archive", f"--output={archive}", commit)
        shutil.unpack_archive(archive, home / "unfinished")
        (home / "unfinished").rename(source)
    options = {name: cached(build, name) for name in SAME}
    options |= {f"HALNORM_{name}": "OFF" for name in ("TESTS", "EXAMPLES", "INSTALL")}
    given = [f"-D{name}={value}" for name, value in options.items() if value]
    print(f"building {revision} ({commit[:12]})", flush=True)
    _run("cmake", "-S", source, "-B", there, "-G", "Ninja", *given)
    _run("cmake", "--build", there, "--target", "halnorm_bench")
    return programs.program_of(there, OURS)


def changes(samples: pd.DataFrame) -> pd.DataFrame:
    """For each case that all sides have: times, the ratio base / new, above 1 if we are faster, and
    the noise: the largest ratio of ours to ours, either way."""
    frame = samples.pivot(index=[*KEYS, "round"], columns="program", values="ns").dropna()
    frame["ratio"] = frame["base"] / frame["new"]
    frame["noise"] = np.exp(np.abs(np.log(frame["again"] / frame["new"])))
    cases = frame.groupby(KEYS, observed=True)
    result = cases[["base", "new", "ratio"]].median()
    result["low"], result["high"] = cases["ratio"].min(), cases["ratio"].max()
    result["noise"] = cases["noise"].max()
    one_side = (result["low"] > 1) | (result["high"] < 1)
    distance = np.exp(np.abs(np.log(result["ratio"])))
    result["counts"] = one_side & (distance > np.maximum(result["noise"], LEAST_CHANGE))
    result["slower"] = result["counts"] & (result["ratio"] < 1)
    return result


def report(result: pd.DataFrame) -> int:
    """Prints what changed; the exit status."""
    lines = result[result["counts"]].sort_values("ratio").reset_index()
    lines[["base us", "new us"]] = lines[["base", "new"]].map(tables.us)
    lines = lines.rename(columns={"ratio": "base / new", "low": "min", "high": "max"})
    case = ["operation", "layout", "dtype", "shape", "threads"]
    figures = ["base us", "new us", "base / new", "min", "max", "noise"]
    if len(lines):
        print(f"\n{tables.table(lines[case + figures], markdown=False)}")
    slower, mean = int(result["slower"].sum()), gmean(result["ratio"])
    print(f"\n{len(result)} cases: {slower} slower, {len(lines) - slower} faster,")
    print(f"the others within the noise; geometric mean of base / new: {mean:.3f}")
    return 1 if slower else 0


def compare(arguments: argparse.Namespace, selected: dict[Shape, str]) -> int:
    """Measures and prints; the exit status."""
    new = programs.program_of(arguments.build_dir, OURS)
    base = build_base(arguments.compare, arguments.build_dir)
    # The floor is left out: both sides move the same memory.
    patterns = {shape: f"{pattern}.*/{OURS}" for shape, pattern in selected.items()}
    sides = [replace(base, name="base"), replace(new, name="new"), replace(new, name="again")]
    results = programs.run_rounds(sides, patterns, arguments, turning=True)
    return report(changes(results.samples()))
