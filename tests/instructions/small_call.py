"""Counts the instructions of a small call, (20, 100) in training, and compares with a stored bound.

callgrind runs the same program with few and with many calls; the difference is what the calls cost,
whatever the start costs. Unlike a time, the count is the same on a busy machine. It depends on the
kernel's target, so one is forced that valgrind can execute: it does not know AVX-512.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

BOUNDS = Path(__file__).with_name("bounds.json")
FEW, MANY = 100, 600
SKIPPED = 77  # as ctest is told


def executed(program: Path, calls: int, kind: str, target: str) -> int:
    """Instructions of the whole process."""
    done = subprocess.run(
        [
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            program,
            str(calls),
            kind,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HALNORM_TARGET": target},
    )
    if done.returncode != 0 and "wanted one that is linked" in done.stderr:
        print(f"skipped: the kernels of {target} are not in this build")
        sys.exit(SKIPPED)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found or f"__{target}" not in done.stdout:
        sys.exit(f"{program.name} failed:\n{done.stdout}{done.stderr}")
    return int(found.group(1))


def per_call(program: Path, kind: str, target: str) -> int:
    more = executed(program, MANY, kind, target) - executed(program, FEW, kind, target)
    return more // (MANY - FEW)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="./dev bench --instructions")
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--instructions", action="store_true", help="what this is")
    parser.add_argument("--update", action="store_true", help="stores what is measured, + headroom")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed")
        sys.exit(SKIPPED)
    stored = json.loads(BOUNDS.read_text())
    failed = False
    for name, call in stored["calls"].items():
        count = per_call(arguments.program, call["kind"], stored["target"])
        if arguments.update:
            call["bound"] = round(count * (1 + stored["headroom"]))
        print(f"{name}: {count} instructions a call, bound {call['bound']}")
        failed = failed or count > call["bound"]
    if arguments.update:
        BOUNDS.write_text(json.dumps(stored, indent=2) + "\n")
    if failed:
        sys.exit("above the bound: find out why, or `./dev bench --instructions --update`")


if __name__ == "__main__":
    main()
