"""Writes the figures of bench/device/device_bench.cpp, and of peers, as a page in Markdown."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd
from scipy.stats import gmean
from tabulate import tabulate

# Bytes that an operation has to move, in those of x: what it reads and what it writes. Training
# reads x twice, backward x and dy.
MOVED = {"copy": 2, "train": 3, "infer": 2, "backward": 5}
OPERATIONS = ("train", "infer", "backward")
PEERS = {"cudnn": "cuDNN", "persistent": "cuDNN, persistent", "torch": "PyTorch's own"}
LARGE = 64e6


def read(paths: list[Path]) -> pd.DataFrame:
    """Our rows in the order of the files, with the share of the speed at which the device copies a
    tensor of this size, and each peer's time."""
    lines = [line for path in paths for line in path.read_text().splitlines()]
    rows = pd.DataFrame([json.loads(line) for line in lines if line.startswith("{")])
    rows["shape"] += " " + rows["layout"]
    rows["text"] = [f"{r.us:.1f} ({r.least:.1f} to {r.most:.1f})" for r in rows.itertuples()]
    case = ["shape", "dtype", "operation"]
    ours = rows[rows["peer"] == "halnorm"].drop(columns="peer")
    copies = ours[ours["operation"] == "copy"].set_index(["shape", "dtype"])["us"] / MOVED["copy"]
    ours = ours.join(copies.rename("copy"), on=["shape", "dtype"])
    ours["of copy"] = ours["copy"] * ours["operation"].map(MOVED) / ours["us"]
    for peer, own in rows[rows["peer"].isin(PEERS)].groupby("peer"):
        times = own.set_index(case)[["us", "text"]].add_prefix(f"{peer} ")
        ours = ours.join(times, on=case)
    return ours[ours["operation"] != "copy"]


def times_faster(rows: pd.DataFrame, peers: tuple[str, ...]) -> str:
    """The geometric mean, the least, and where we are slower by more than a twentieth."""
    known = [f"{peer} us" for peer in peers if f"{peer} us" in rows]
    ratios = (rows[known].min(axis=1) / rows["us"]).dropna() if known else []
    if not len(ratios):
        return "-"
    slower = int((ratios < 1 / 1.05).sum())
    range_ = f"{ratios.min():.2f} to {ratios.max():.1f}"
    return f"{gmean(ratios):.2f} ({range_}), slower in {slower} of {len(ratios)}"


def summary(rows: pd.DataFrame) -> str:
    header = ["", f"of the copy, from {LARGE / 1e6:.0f} MB on"]
    header += ["times the better of cuDNN's two modes", "times PyTorch's own"]
    lines = []
    for (dtype, operation), own in rows.groupby(["dtype", "operation"], sort=False):
        large = own.loc[own["bytes"] >= LARGE, "of copy"]
        share = f"{gmean(large):.2f} ({large.min():.2f} at the least)" if len(large) else "-"
        cells = [times_faster(own, peers) for peers in (("cudnn", "persistent"), ("torch",))]
        lines.append([f"{operation}, {dtype}", share, *cells])
    return tabulate(lines, header, "github", disable_numparse=True)


def table(rows: pd.DataFrame) -> str:
    rows = rows.assign(**{"of copy": rows["of copy"].map("{:.2f}".format)})
    shown = {"shape": "shape", "text": "halnorm", "of copy": "of copy"}
    shown |= {f"{peer} text": name for peer, name in PEERS.items() if f"{peer} text" in rows}
    lines = rows[list(shown)].fillna("-").to_numpy().tolist()
    return tabulate(lines, list(shown.values()), "github", disable_numparse=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--title", default="GPU")
    parser.add_argument("figures", type=Path, nargs="+")
    options = parser.parse_args()
    rows = read(options.figures)
    print(f"# {options.title}\n")
    print((Path(__file__).parent / "page.md").read_text())
    print(f"{summary(rows)}\n\n## Every shape\n")
    print("Microseconds a call: the median of seven runs, the least and the most.")
    for (dtype, operation), own in rows.groupby(["dtype", "operation"], sort=False):
        print(f"\n### {operation}, {dtype}\n\n{table(own)}")


if __name__ == "__main__":
    main()
