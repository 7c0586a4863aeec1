"""Writes the figures of bench/device/device_bench.cpp, and of peers, as a page in Markdown."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

# Bytes that an operation has to move, in those of x: what it reads and what it writes. Training
# reads x twice, backward x and dy.
MOVED = {"copy": 2, "train": 3, "infer": 2, "backward": 5}
OPERATIONS = ("train", "infer", "backward")
LARGE = 64e6

Key = tuple[str, str, str, str]


def read(path: Path) -> dict[Key, dict[str, float]]:
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]
    return {
        (r.get("peer", "halnorm"), f"{r['shape']} {r['layout']}", r["dtype"], r["operation"]): r
        for r in rows
    }


def share_of_copy(all_rows: dict[Key, dict[str, float]], key: Key) -> float:
    """Of the speed at which the device copies a tensor of this size."""
    _, shape, dtype, operation = key
    copy = all_rows["halnorm", shape, dtype, "copy"]["us"] / MOVED["copy"]
    return copy * MOVED[operation] / all_rows[key]["us"]


def cell(all_rows: dict[Key, dict[str, float]], key: Key) -> str:
    if key not in all_rows:
        return "-"
    row = all_rows[key]
    return f"{row['us']:.1f} ({row['least']:.1f} to {row['most']:.1f})"


def table(all_rows: dict[Key, dict[str, float]], dtype: str, operation: str) -> list[str]:
    peers = [p for p in ("cudnn", "torch") if any(key[0] == p for key in all_rows)]
    head = ["shape", "halnorm, us", "of copy", *(f"{p}, us" for p in peers)]
    lines = [f"## {operation}, {dtype}", "", "| " + " | ".join(head) + " |"]
    lines.append("|---" * len(head) + "|")
    shares = []
    for key in all_rows:
        if key[0] != "halnorm" or key[2:] != (dtype, operation):
            continue
        share = share_of_copy(all_rows, key)
        if all_rows[key]["bytes"] >= LARGE:
            shares.append(share)
        others = [cell(all_rows, (p, *key[1:])) for p in peers]
        lines.append(
            "| " + " | ".join([key[1], cell(all_rows, key), f"{share:.2f}", *others]) + " |"
        )
    if shares:
        mean = statistics.geometric_mean(shares)
        lines += ["", f"From 64 MB on: {mean:.2f} of the copy's speed, geometric mean."]
    return [*lines, ""]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", type=Path, nargs="+")
    parser.add_argument("--title", default="GPU")
    options = parser.parse_args()
    all_rows: dict[Key, dict[str, float]] = {}
    for path in options.figures:
        all_rows |= read(path)
    print(f"# {options.title}\n")
    print(
        "Median of seven runs, with the least and the most; a run is many calls, waited for once."
    )
    print("The share of the copy is in bytes a second: training reads x twice and writes y.\n")
    for dtype in dict.fromkeys(key[2] for key in all_rows):
        for operation in OPERATIONS:
            print("\n".join(table(all_rows, dtype, operation)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
