"""Writes the figures of the programs that measured a device, ours and the peers, as a page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd
from results import tables
from results.measurements import FLOOR, OPERATIONS, Measurements, suite_shapes
from scipy.stats import gmean

PEERS = {
    "times the better of cuDNN's two modes": ["cudnn", "persistent"],
    "times PyTorch's own": ["torch"],
}
LARGE = 64e6


def read(paths: list[Path]) -> Measurements:
    """A round for each run of a case."""
    results = Measurements(suite_shapes())
    for run in (run for path in paths for run in json.loads(path.read_text())["benchmarks"]):
        if run["run_type"] != "iteration" or not run.get("real_time"):
            continue  # a peer does not take every shape
        name, ns = run["name"], run["real_time"]
        if "/copy/" not in name:
            results.add(name, ns)
            continue
        # The floor is a copy of as many bytes: it has moved two tensors.
        for operation in ("train", "infer", "backward"):
            case = name.replace("infer", operation).replace("copy", FLOOR)
            results.add(case, ns * OPERATIONS[operation].tensors / 2)
    return results


def times_faster(cases: pd.DataFrame, peers: list[str]) -> str:
    """The geometric mean, the least, and where we are slower by more than a twentieth."""
    known = [f"x {peer}" for peer in peers if f"x {peer}" in cases]
    ratios = cases[known].min(axis=1).dropna() if known else []
    if not len(ratios):
        return "-"
    slower = int((ratios < 1 / 1.05).sum())
    range_ = f"{ratios.min():.2f} to {ratios.max():.1f}"
    return f"{gmean(ratios):.2f} ({range_}), slower in {slower} of {len(ratios)}"


def summary(results: Measurements) -> str:
    cases = results.cases().xs("median", axis=1, level=1)
    rows = []
    for (dtype, operation), own in cases.groupby(["dtype", "operation"], observed=True):
        sizes = {shape.name: shape.tensor_bytes(dtype) for shape in results.shapes}
        names = own.index.get_level_values("shape").astype(str)
        large = own.loc[names.map(sizes) >= LARGE, "of floor"]
        share = f"{gmean(large):.2f} ({large.min():.2f} at the least)" if len(large) else "-"
        row = {"": f"{operation}, {dtype}", f"of floor, from {LARGE / 1e6:.0f} MB on": share}
        rows.append(row | {title: times_faster(own, peers) for title, peers in PEERS.items()})
    return tables.table(pd.DataFrame(rows), markdown=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--title", default="GPU")
    parser.add_argument("figures", type=Path, nargs="+")
    options = parser.parse_args()
    results = read(options.figures)
    print(f"# {options.title}\n")
    print((Path(__file__).parent / "page.md").read_text())
    print(f"{summary(results)}\n## Every shape\n\n{tables.groups(results, markdown=True)}")


if __name__ == "__main__":
    main()
