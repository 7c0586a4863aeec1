"""The programs that measure, ours and one for each peer, and the rounds in which they run."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from results.measurements import OURS, Measurements, Shape

ROOT = Path(__file__).resolve().parents[2]
BUILT = {OURS: "halnorm_bench", "calls": "halnorm_bench_calls", "onednn": "halnorm_bench_onednn"}
# The peers, and the steps by which a user installs a missing one. Those in Python have a virtual
# environment each, made by ./dev.
PEERS = {
    "onednn": "libdnnl-dev was not found when the project was configured",
    "torch": "`./dev bench --peers torch` installs it",
    "oneflow": "`./dev bench --peers oneflow` installs it",
}


@dataclass(frozen=True)
class Program:
    """A Google Benchmark program, or one that takes the same options and gives the same JSON."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def found(self) -> bool:
        return all(Path(part).exists() for part in self.command)

    def measure(self, options: list[str], min_time: float) -> dict[str, Any]:
        """What the program prints; ends the benchmark if the program failed."""
        command = [*self.command, *options, f"--benchmark_min_time={min_time}"]
        done = subprocess.run(
            [*command, "--benchmark_format=json"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **self.environment},
        )
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\nfailed ({done.returncode}): {done.stderr}")
        # If no benchmark matched, the peer does not have the dtype.
        return json.loads(done.stdout) if done.stdout.strip() else {"benchmarks": []}


def cached(build: Path, name: str) -> str:
    """What the build was configured with."""
    text = (build / "CMakeCache.txt").read_text()
    found = re.search(rf"^{name}:\w+=(.*)$", text, re.MULTILINE)
    return found.group(1) if found else ""


def program_of(build: Path, name: str) -> Program:
    """Ours, the one of small calls, or a peer."""
    if name in BUILT:
        return Program(name, (str(build / "bench" / BUILT[name]),))
    home = ROOT / "build/peers" / name
    # OneFlow's wheel is linked against CUDA's libraries without a path to them.
    libraries = sorted(str(path) for path in home.glob("lib/python*/site-packages/nvidia/*/lib"))
    environment = {"LD_LIBRARY_PATH": ":".join(libraries)} if name == "oneflow" else {}
    script = ROOT / f"bench/peers/{name}_peer.py"
    return Program(name, (str(home / "bin/python"), str(script)), environment)


def present_peers(build: Path, names: list[str]) -> list[Program]:
    """The named peers that are installed; says which are not."""
    wanted = [program_of(build, name) for name in names]
    for program in wanted:
        if not program.found:
            print(f"no {program.name}: {PEERS[program.name]}")
    return [program for program in wanted if program.found]


def run_rounds(
    running: list[Program],
    selected: dict[Shape, str],
    arguments: argparse.Namespace,
    turning: bool = False,
) -> Measurements:
    """Measures each shape by each program, with the benchmarks that match the shape's pattern, in
    each round anew. `turning`: the order of the programs turns from round to round."""
    results = Measurements(list(selected))
    started = time.monotonic()
    for turn in range(arguments.rounds):
        first = turn % len(running) if turning else 0
        for count, (shape, pattern) in enumerate(selected.items(), 1):
            where = f"round {turn + 1}/{arguments.rounds}, shape {count}/{len(selected)}"
            print(f"[{time.monotonic() - started:4.0f} s] {where}: {shape.name}", flush=True)
            options = [f"--shape={shape.name}", f"--benchmark_filter={pattern}"]
            options.append(f"--dtypes={','.join(arguments.dtypes)}")
            if arguments.threads:
                options.append(f"--threads={arguments.threads}")
            for program in running[first:] + running[:first]:
                results.add_all(program.name, program.measure(options, arguments.min_time))
    print(f"[{time.monotonic() - started:4.0f} s] done\n")
    return results
