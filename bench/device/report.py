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
CUDNN = ("cudnn", "persistent")
PEERS = {"cudnn": "cuDNN", "persistent": "cuDNN, persistent", "torch": "PyTorch's own"}
LARGE = 64e6

Key = tuple[str, str, str, str]
Row = dict[str, float]


def read(path: Path) -> dict[Key, Row]:
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]
    return {(r["peer"], f"{r['shape']} {r['layout']}", r["dtype"], r["operation"]): r for r in rows}


def share_of_copy(rows: dict[Key, Row], key: Key) -> float:
    """Of the speed at which the device copies a tensor of this size."""
    _, shape, dtype, operation = key
    copy = rows["halnorm", shape, dtype, "copy"]["us"] / MOVED["copy"]
    return copy * MOVED[operation] / rows[key]["us"]


def best(rows: dict[Key, Row], key: Key, peers: tuple[str, ...]) -> float | None:
    """The time of the quickest of these peers."""
    times = [rows[(p, *key[1:])]["us"] for p in peers if (p, *key[1:]) in rows]
    return min(times, default=None)


def ours(rows: dict[Key, Row], dtype: str, operation: str) -> list[Key]:
    return [key for key in rows if key[0] == "halnorm" and key[2:] == (dtype, operation)]


def times_faster(rows: dict[Key, Row], keys: list[Key], peers: tuple[str, ...]) -> str:
    """The geometric mean, the least, and where we are slower by more than a twentieth."""
    pairs = [(key, best(rows, key, peers)) for key in keys]
    ratios = [time / rows[key]["us"] for key, time in pairs if time is not None]
    if not ratios:
        return "-"
    slower = sum(ratio < 1 / 1.05 for ratio in ratios)
    mean = statistics.geometric_mean(ratios)
    return (
        f"{mean:.2f} ({min(ratios):.2f} to {max(ratios):.1f}), slower in {slower} of {len(ratios)}"
    )


def summary(rows: dict[Key, Row], dtypes: list[str]) -> list[str]:
    lines = [
        f"| | of the copy, from {LARGE / 1e6:.0f} MB on | times the better of cuDNN's two modes | "
        "times PyTorch's own |",
        "|---|---|---|---|",
    ]
    for dtype in dtypes:
        for operation in OPERATIONS:
            keys = ours(rows, dtype, operation)
            large = [share_of_copy(rows, key) for key in keys if rows[key]["bytes"] >= LARGE]
            share = "-"
            if large:
                share = f"{statistics.geometric_mean(large):.2f} ({min(large):.2f} at the least)"
            cells = [share, times_faster(rows, keys, CUDNN), times_faster(rows, keys, ("torch",))]
            lines.append(f"| {operation}, {dtype} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def cell(rows: dict[Key, Row], key: Key) -> str:
    if key not in rows:
        return "-"
    row = rows[key]
    return f"{row['us']:.1f} ({row['least']:.1f} to {row['most']:.1f})"


def table(rows: dict[Key, Row], dtype: str, operation: str) -> list[str]:
    peers = [p for p in PEERS if any(key[0] == p for key in rows)]
    head = ["shape", "halnorm", "of copy", *(PEERS[p] for p in peers)]
    lines = [f"### {operation}, {dtype}", "", "| " + " | ".join(head) + " |"]
    lines.append("|---" * len(head) + "|")
    for key in ours(rows, dtype, operation):
        others = [cell(rows, (p, *key[1:])) for p in peers]
        share = f"{share_of_copy(rows, key):.2f}"
        lines.append("| " + " | ".join([key[1], cell(rows, key), share, *others]) + " |")
    return [*lines, ""]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--title", default="GPU")
    parser.add_argument("figures", type=Path, nargs="+")
    options = parser.parse_args()
    rows: dict[Key, Row] = {}
    for path in options.figures:
        rows |= read(path)
    dtypes = list(dict.fromkeys(key[2] for key in rows))
    print(f"# {options.title}\n")
    print((Path(__file__).parent / "page.md").read_text())
    print("\n".join(summary(rows, dtypes)))
    print("## Every shape\n")
    print("Microseconds a call: the median of seven runs, the least and the most.\n")
    for dtype in dtypes:
        for operation in OPERATIONS:
            print("\n".join(table(rows, dtype, operation)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
