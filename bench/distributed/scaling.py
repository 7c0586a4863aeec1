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
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "plm", "isolated"]
TRANSPORTS = {"shared memory": "vader,self", "TCP": "tcp,self"}
RANKS = (1, 2, 4, 8)
ROUNDS = 3  # of which the least time counts: the machine may have other work
# times[transport][ranks, kind, argument]: microseconds
Times = dict[str, dict[tuple[int, str, str], list[float]]]


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


def measure(
    program: Path, transport: str, ranks: int, *arguments: str
) -> dict[tuple[int, str, str], list[float]]:
    command = [*MPIRUN, "--mca", "pml", "ob1", "--mca", "btl", TRANSPORTS[transport]]
    command += ["-n", str(ranks), str(program), *arguments]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = list(csv.reader(output.splitlines()))
    return {(int(row[2]), row[0], row[1]): [float(cell) for cell in row[3:]] for row in rows}


def network_of(times: dict[tuple[int, str, str], list[float]]) -> Network:
    small, large = times[2, "exchange", "8"][0], times[2, "exchange", "65536"][0]
    one, many = times[2, "messages", "1"][0], times[2, "messages", "128"][0]
    return Network(small, (many - one) / 127, (large - small) / (65536 - 8))


@dataclass
class Layer:
    """Of one process: time of a call without rows, of all rows, and of one more rank's parts."""

    channels: int
    fixed: float
    rows: float
    part: float

    def step(self, ranks: int, cores: int, exchange: float) -> float:
        """Forward and backward of a batch that is split over the ranks."""
        turns = max(1.0, ranks / cores)  # ranks that share a core take turns
        return turns * (self.fixed + self.rows / ranks + (ranks - 1) * self.part) + exchange

    def exchanges(self, ranks: int, gather: Callable[[int, int], float]) -> float:
        sizes = (8, 8 * (2 * self.channels + 1), 8, 16 * self.channels)
        return sum(gather(ranks, size) for size in sizes)


def layer_of(times: dict[tuple[int, str, str], list[float]], shape: str) -> Layer:
    channels = int(shape.split("x")[1])
    fixed = sum(times[1, "merge", str(channels)])
    part = (sum(times[1000, "merge", str(channels)]) - fixed) / 999
    return Layer(channels, fixed, sum(times[1, "step", shape][:2]) - fixed, part)


def shapes_of(times: Times) -> list[str]:
    first = next(iter(times.values()))
    return [name for ranks, kind, name in first if kind == "step" and ranks == 1]


def print_tables(times: Times, cores: int) -> None:
    print("| network | latency, us | one more message, us | GB/s |\n|---|--:|--:|--:|")
    for transport, found in times.items():
        n = network_of(found)
        print(f"| {transport} | {n.latency:.2f} | {n.overhead:.2f} | {1e-3 / n.per_byte:.1f} |")
    columns = "x, float32|network|ranks|forward|backward|exchanges of both|efficiency|model of both"
    print(f"\n|{columns}|\n|---|---|" + "--:|" * 6)
    for shape in shapes_of(times):
        for transport, found in times.items():
            network, layer = network_of(found), layer_of(found, shape)
            alone = sum(found[1, "step", shape][:2])
            for ranks in RANKS:
                forward, backward, exchange = found[ranks, "step", shape]
                both = forward + backward
                efficiency = alone / (min(ranks, cores) * both)
                model = layer.step(ranks, cores, layer.exchanges(ranks, network.linear))
                print(
                    f"| ({shape.replace('x', ', ')}) | {transport} | {ranks} | {forward:.0f} | "
                    f"{backward:.0f} | {exchange:.0f} | {efficiency:.0%} | {model:.0f} |"
                )


def print_overlap(program: Path) -> None:
    """Four layers, with and without exchanges that are pending while kernels run."""
    columns = "x, float32|network|ranks|forward|overlap|backward|overlap|together|overlap"
    print(f"\n|{columns}|\n|---|---|" + "--:|" * 7)
    for transport in TRANSPORTS:
        for ranks in (2, 4):
            for (_, _, shape), times in measure(program, transport, ranks, "overlap").items():
                forward, backward, both = times[:3]
                forward_o, backward_o, both_o = times[3:]
                print(
                    f"| ({shape.replace('x', ', ')}) | {transport} | {ranks} | {forward:.0f} | "
                    f"{forward_o:.0f} | {backward:.0f} | {backward_o:.0f} | "
                    f"{both - forward:.0f} | {both_o - forward_o:.0f} |"
                )


def draw(times: Times, cores: int, path: Path) -> None:
    figure = Figure(figsize=(10.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = iter(mpl.colormaps["tab10"].colors)
    for shape in shapes_of(times)[:2]:
        for transport, found in times.items():
            colour, layer, network = next(colours), layer_of(found, shape), network_of(found)
            measured = [sum(found[ranks, "step", shape][:2]) for ranks in RANKS]
            model = [layer.step(r, cores, layer.exchanges(r, network.linear)) for r in RANKS]
            name = f"({shape.replace('x', ', ')}), {transport}"
            left.plot(RANKS, measured, "o", color=colour, label=name)
            left.plot(RANKS, model, "-", color=colour)
    left.set(xscale="log", yscale="log", xlabel="ranks", ylabel="forward and backward, us")
    left.set(xticks=RANKS, xticklabels=RANKS)
    left.minorticks_off()
    left.set_title(f"One batch on {cores} cores\npoints: measured, lines: model")
    shape = shapes_of(times)[2]
    layer = layer_of(next(iter(times.values())), shape)
    many = [2**power for power in range(11)]
    networks = ASSUMED | {"TCP as measured": network_of(times["TCP"])}
    for name, network in networks.items():
        colour = next(colours)
        for gather, line in ((network.linear, "-"), (network.doubling, "--")):
            # Weak scaling: each rank has an eighth of the shape's rows.
            own = layer.rows / 8 + layer.fixed
            steps = [
                own + (ranks - 1) * layer.part + layer.exchanges(ranks, gather) for ranks in many
            ]
            label = name if line == "-" else None
            right.plot(many, [own / step for step in steps], line, color=colour, label=label)
    right.set(xscale="log", ylim=(0, 1.03), xlabel="ranks, a core each", ylabel="efficiency")
    right.set_title("Model: (32, 256, 196) on each rank\ndashed: recursive doubling")
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, frameon=False)
    with mpl.rc_context({"svg.hashsalt": "halnorm", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, required=True, help="halnorm_mpi_bench")
    parser.add_argument("--picture", type=Path, required=True, help=".svg to write")
    options = parser.parse_args()
    times: Times = {transport: {} for transport in TRANSPORTS}
    for _round in range(ROUNDS):
        for transport, found in times.items():
            for ranks in RANKS:
                for key, row in measure(options.program, transport, ranks).items():
                    found[key] = min(found.get(key, row), row, key=sum)
    cores = len(os.sched_getaffinity(0))
    print_tables(times, cores)
    print_overlap(options.program)
    draw(times, cores, options.picture)


if __name__ == "__main__":
    main()
