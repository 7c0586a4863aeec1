"""The programs that measure: ours, and one for each peer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from results.measurements import OURS, Shape

ROOT = Path(__file__).resolve().parents[2]
PEERS = ("onednn", "torch", "oneflow")
# Peers in Python have a virtual environment each, made by ./dev.
PYTHON_PEERS = {"torch": "torch_peer.py", "oneflow": "oneflow_peer.py"}

Options = list[str]


@dataclass(frozen=True)
class Program:
    """A Google Benchmark program, or one that takes the same options and gives the same JSON."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def found(self) -> bool:
        return all(Path(part).exists() for part in self.command)

    def run(self, options: Options) -> str:
        """The program's standard output; ends the benchmark if the program failed."""
        done = subprocess.run(
            [*self.command, *options],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **self.environment},
        )
        if done.returncode != 0:
            words = " ".join([self.name, *options])
            sys.exit(f"{words}\nfailed ({done.returncode}): {done.stderr}")
        return done.stdout

    def measure(self, options: Options, min_time: float) -> dict[str, Any]:
        output = self.run([*options, f"--benchmark_min_time={min_time}", "--benchmark_format=json"])
        # No benchmark matched: a peer need not have every dtype.
        return json.loads(output) if output.strip() else {"benchmarks": []}

    def shapes(self) -> list[Shape]:
        shapes = []
        for line in self.run(["--shapes"]).splitlines():
            name, n, c, length, rank, kind, reason = line.split("\t")
            quick = kind == "quick"
            shapes.append(Shape(name, int(n), int(c), int(length), int(rank), quick, reason))
        return shapes


def built(build: Path, name: str, file: str) -> Program:
    return Program(name, (str(build / "bench" / file),))


def ours(build: Path) -> Program:
    return built(build, OURS, "halnorm_bench")


def peer(build: Path, name: str) -> Program:
    if name not in PYTHON_PEERS:
        return built(build, name, f"halnorm_bench_{name}")
    home = ROOT / "build/peers" / name
    # OneFlow's wheel is linked against CUDA's libraries and does not say where they are.
    libraries = sorted(str(path) for path in home.glob("lib/python*/site-packages/nvidia/*/lib"))
    environment = {"LD_LIBRARY_PATH": ":".join(libraries)} if name == "oneflow" else {}
    script = ROOT / "bench/peers" / PYTHON_PEERS[name]
    return Program(name, (str(home / "bin/python"), str(script)), environment)


def present_peers(build: Path, names: list[str]) -> list[Program]:
    """The named peers that are installed; says which are not."""
    present = []
    for name in names:
        program = peer(build, name)
        if program.found:
            present.append(program)
        else:
            print(f"no {name}: {_how_to_get(name)}")
    return present


def _how_to_get(name: str) -> str:
    if name in PYTHON_PEERS:
        return f"`./dev bench --peers {name}` installs it"
    return "libdnnl-dev was not found when the project was configured"
