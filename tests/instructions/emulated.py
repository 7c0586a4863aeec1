"""Counts the instructions that kernels execute for an element on ARM, under qemu-user, and those of
plain C++ loops that GCC compiled with -O3. It needs no such machine, and is no measure of time.

A program runs with few and with more calls; the difference is what the calls cost.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
from pathlib import Path

PLUGIN = Path(__file__).with_name("counter.c")
OPERATIONS = ("train", "infer", "backward")
SHAPES = ((8, 64, 784), (32, 128, 49), (4, 100, 512))
COLUMNS = ("operation", "layout", "(N, C, L)", "ours", "plain", "ours/plain", "rows", "ours/rows")
FEW, MORE = 1, 4
WANTED = 1 / 3


def run(command: list[str], plugin: Path, cpu: str, calls: int) -> tuple[int, float]:
    """Instructions of the whole process, and the sum that it prints of its results."""
    done = subprocess.run(
        [*command, str(calls)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "QEMU_CPU": cpu, "QEMU_PLUGIN": str(plugin)},
    )
    counted = re.search(r"instructions: (\d+)", done.stderr)
    if not counted:
        raise RuntimeError(done.stderr)
    return int(counted[1]), float(done.stdout)


class Counter:
    """Counts instructions per element of one build's program."""

    def __init__(self, emulator: list[str], program: Path, plugin: Path, cpu: str) -> None:
        self.start = [*emulator, str(program)]
        self.plugin, self.cpu = plugin, cpu

    def per_element(
        self, kind: str, operation: str, layout: str, shape: tuple[int, int, int]
    ) -> tuple[float, float]:
        n, c, length = shape
        command = [*self.start, kind, operation, layout, str(n), str(c), str(length)]
        few, result = run(command, self.plugin, self.cpu, FEW)
        more, _ = run(command, self.plugin, self.cpu, MORE)
        return (more - few) / (MORE - FEW) / (n * c * length), result

    def row(self, operation: str, layout: str, shape: tuple[int, int, int]) -> str:
        """Of the table: ours beside the plain loops that there are for the layout."""
        ours, result = self.per_element("ours", operation, layout, shape)
        cells = [operation, layout.upper(), str(shape), f"{ours:.2f}"]
        for kind in ("plain", "rows"):
            if kind == "rows" and layout == "ncl":
                cells += ["", ""]
                continue
            count, theirs = self.per_element(kind, operation, layout, shape)
            if abs(result - theirs) > 1e-4 * abs(theirs):
                raise RuntimeError(f"{kind} {operation} {layout} {shape}: {theirs}, ours {result}")
            share = ours / count
            bold = "**" if share > WANTED else ""
            cells += [f"{count:.2f}", f"{bold}{share:.2f}{bold}"]
        return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="./dev bench --target arm64")
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument(
        "--emulator", nargs="+", default=["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]
    )
    parser.add_argument("--cpu", default="neoverse-n1")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder) / "counter.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", PLUGIN, "-o", plugin], check=True)
        counter = Counter(arguments.emulator, arguments.program, plugin, arguments.cpu)
        print("| " + " | ".join(COLUMNS) + " |")
        print("|---" * 3 + "|---:" * 5 + "|")
        for shape in SHAPES:
            for layout in ("ncl", "nlc"):
                for operation in OPERATIONS:
                    print(counter.row(operation, layout, shape), flush=True)


if __name__ == "__main__":
    main()
