"""Measures training steps over 1, 2, 4 and 8 ranks, and holds a model of them to the measurements.

./dev bench --ranks

Prints tables for docs/distributed.md and draws its picture. The parameters of the model come from
one rank and from messages between two; the steps of all rank counts are what it is compared with.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from results import tables
from results.charts import save

MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "plm", "isolated"]
TRANSPORTS = {"shared memory": "vader,self", "TCP": "tcp,self"}
RANKS = (1, 2, 4, 8)
ROUNDS = 3  # of which the least time counts: the machine may have other work
# Microseconds of one transport, by (ranks, kind, argument).
Times = dict[tuple[int, str, str], list[float]]
Gather = Callable[[int, int], float]  # an exchange's time by ranks and bytes


@dataclass
class Network:
    """Microseconds to the arrival of one message, to send and receive one more, and per byte."""

    latency: float
    overhead: float
    per_byte: float

    def linear(self, ranks: int, size: int) -> float:
        """Everyone sends to everyone: what OpenMPI 4.1 does unless it is told otherwise."""
        if ranks == 1:
            return 0.0
        more = (ranks - 2) * (self.overhead + size * self.per_byte)
        return self.latency + size * self.per_byte + more

    def doubling(self, ranks: int, size: int) -> float:
        """Recursive doubling: for powers of two, coll_libnbc_iallgather_algorithm=2."""
        return math.log2(ranks) * self.latency + (ranks - 1) * size * self.per_byte


# Usual figures of such networks, not measured here.
ASSUMED = {
    "100 Gbit/s, 2 us": Network(2.0, 0.3, 1 / 12500),
    "10 Gbit/s, 30 us": Network(30.0, 6.0, 1 / 1250),
}


@dataclass
class Layer:
    """Of one process: time of a call without rows, of all rows, and of one more rank's parts."""

    channels: int
    fixed: float
    rows: float
    part: float

    def step(self, ranks: int, gather: Gather, cores: float = math.inf, share: float = 0) -> float:
        """Forward and backward of a share of the rows on each rank: by default the batch is split.
        Ranks that share a core take turns."""
        own = self.fixed + self.rows * (share or 1 / ranks) + (ranks - 1) * self.part
        sizes = (8, 8 * (2 * self.channels + 1), 8, 16 * self.channels)
        return max(1.0, ranks / cores) * own + sum(gather(ranks, size) for size in sizes)


def measure(program: Path, transport: str, ranks: int, *arguments: str) -> Times:
    command = [*MPIRUN, "--mca", "pml", "ob1", "--mca", "btl", TRANSPORTS[transport]]
    command += ["-n", str(ranks), str(program), *arguments]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = csv.reader(output.splitlines())
    return {(int(of), kind, name): [float(c) for c in times] for kind, name, of, *times in rows}


def network_of(times: Times) -> Network:
    small, large = times[2, "exchange", "8"][0], times[2, "exchange", "65536"][0]
    one, many = times[2, "messages", "1"][0], times[2, "messages", "128"][0]
    return Network(small, (many - one) / 127, (large - small) / (65536 - 8))


def layer_of(times: Times, shape: str) -> Layer:
    channels = shape.split("x")[1]
    fixed = sum(times[1, "merge", channels])
    part = (sum(times[1000, "merge", channels]) - fixed) / 999
    return Layer(int(channels), fixed, sum(times[1, "step", shape][:2]) - fixed, part)


def extents(shape: str) -> str:
    return f"({shape.replace('x', ', ')})"


def networks(times: dict[str, Times]) -> pd.DataFrame:
    rows = []
    for transport, found in times.items():
        n = network_of(found)
        rows.append([transport, n.latency, n.overhead, 1e-3 / n.per_byte])
    return pd.DataFrame(rows, columns=["network", "latency, us", "one more message, us", "GB/s"])


def steps(times: dict[str, Times], cores: int) -> pd.DataFrame:
    """A row for each step that was measured, beside the model."""
    rows = []
    shapes = [name for ranks, kind, name in times["TCP"] if kind == "step" and ranks == 1]
    for shape, (transport, found), ranks in product(shapes, times.items(), RANKS):
        row = {"x, float32": shape, "network": transport, "ranks": ranks}
        times_of = found[ranks, "step", shape]
        row |= dict(zip(("forward", "backward", "exchanges of both"), times_of, strict=True))
        alone = sum(found[1, "step", shape][:2])
        row["efficiency"] = alone / (min(ranks, cores) * sum(times_of[:2]))
        row["model of both"] = layer_of(found, shape).step(ranks, network_of(found).linear, cores)
        rows.append(row)
    return pd.DataFrame(rows)


def overlaps(program: Path) -> pd.DataFrame:
    """Four layers, without and with exchanges that are pending while kernels run."""
    rows = []
    for transport, ranks in product(TRANSPORTS, (2, 4)):
        for (_, _, shape), times in measure(program, transport, ranks, "overlap").items():
            pairs = [f"{a:.0f} / {b:.0f}" for a, b in zip(times[:3], times[3:], strict=True)]
            rows.append([extents(shape), transport, ranks, *pairs])
    columns = ["forwards", "backwards, one by one", "forwards and `nn::backward_together`"]
    return pd.DataFrame(rows, columns=["x, float32", "network", "ranks", *columns])


def draw(times: dict[str, Times], measured: pd.DataFrame, cores: int, path: Path) -> None:
    figure = Figure(figsize=(10.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = iter(mpl.colormaps["tab10"].colors)
    *split, scaled = measured["x, float32"].unique()
    for (shape, transport), rows in measured.groupby(["x, float32", "network"], sort=False):
        if shape in split:
            colour, both = next(colours), rows["forward"] + rows["backward"]
            label = f"{extents(shape)}, {transport}"
            left.plot(rows["ranks"], both, "o", color=colour, label=label)
            left.plot(rows["ranks"], rows["model of both"], "-", color=colour)
    left.set(xscale="log", yscale="log", xlabel="ranks", ylabel="forward and backward, us")
    left.set(xticks=RANKS, xticklabels=RANKS)
    left.minorticks_off()
    left.set_title(f"One batch on {cores} cores\npoints: measured, lines: model")
    layer = layer_of(times["shared memory"], scaled)
    many = [2**power for power in range(11)]
    for name, network in {**ASSUMED, "TCP as measured": network_of(times["TCP"])}.items():
        colour = next(colours)
        for gather, line, label in ((network.linear, "-", name), (network.doubling, "--", None)):
            # Weak scaling: each rank has an eighth of the shape's rows.
            times_of = [layer.step(ranks, gather, share=1 / 8) for ranks in many]
            shares = [times_of[0] / time for time in times_of]
            right.plot(many, shares, line, color=colour, label=label)
    right.set(xscale="log", ylim=(0, 1.03), xlabel="ranks, a core each", ylabel="efficiency")
    right.set_title("Model: (32, 256, 196) on each rank\ndashed: recursive doubling")
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, frameon=False)
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, required=True, help="halnorm_mpi_bench")
    parser.add_argument("--picture", type=Path, required=True, help=".svg to write")
    options = parser.parse_args()
    times: dict[str, Times] = {transport: {} for transport in TRANSPORTS}
    for _, (transport, found), ranks in product(range(ROUNDS), times.items(), RANKS):
        for key, row in measure(options.program, transport, ranks).items():
            found[key] = min(found.get(key, row), row, key=sum)
    cores = len(os.sched_getaffinity(0))
    measured = steps(times, cores)
    shown = measured.round().astype(dict.fromkeys(measured.columns[3:], int))
    shown["x, float32"] = measured["x, float32"].map(extents)
    shown["efficiency"] = measured["efficiency"].map("{:.0%}".format)
    print(tables.table(networks(times), markdown=True))
    print(tables.table(shown, markdown=True))
    print(tables.table(overlaps(options.program), markdown=True))
    draw(times, measured, cores, options.picture)


if __name__ == "__main__":
    main()
