"""How time grows with N, C and L, and how fast the caches and the memory copy."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator

import pandas as pd
from results.measurements import FLOOR, Measurements, parse_name
from results.programs import Program

BUFFERS = 3  # tensors of the shape's size that the program holds
ELEMENT_BYTES = 4  # float32
FIXED = 16  # the two extents that stay; the third grows from 1: 1 KB
STEP = 4
LARGEST = 1 << 30  # bytes of a tensor
AXES = ("N", "C", "L")
# Of a cache: x and y together fill half of it. Memory: both are far larger than the last cache.
CACHE_SHARE = 4
MEMORY_FACTOR = 4
PLAIN = "^(train|infer|backward)/"


class Growth:
    """Fastest times while one extent grows, on all cores; the floor has the layout "any"."""

    def __init__(self, rows: list[dict[str, object]]) -> None:
        keys = ["operation", "layout", "axis", "bytes"]
        self.times = pd.DataFrame(rows).groupby(keys, as_index=False, sort=False)["ns"].min()

    def of_floor(self) -> pd.DataFrame:
        floor = self.times[self.times["layout"] == "any"].drop(columns="layout")
        ours = self.times[self.times["layout"] != "any"]
        keys = ["operation", "axis", "bytes"]
        merged = ours.merge(floor.rename(columns={"ns": "floor"}), on=keys)
        merged["of floor"] = merged["floor"] / merged["ns"]
        return merged


def extents(axis: str, memory_limit: float) -> Iterator[tuple[str, int]]:
    """The shapes in which this axis grows, each with the bytes of a tensor."""
    extent = 1
    while True:
        n, c, length = (extent if name == axis else FIXED for name in AXES)
        size = n * c * length * ELEMENT_BYTES
        if size > LARGEST or BUFFERS * size > memory_limit * 1e9:
            return
        yield f"{n}x{c}x{length}", size
        extent *= STEP


def measure(program: Program, arguments: argparse.Namespace) -> Growth:
    rows: list[dict[str, object]] = []
    started = time.monotonic()
    for turn in range(1, arguments.rounds + 1):
        for axis in AXES:
            print(f"[{time.monotonic() - started:4.0f} s] growth {turn}, {axis}", flush=True)
            for shape, size in extents(axis, arguments.memory_limit):
                options = [f"--shape={shape}", f"--benchmark_filter={PLAIN}"]
                options.append(f"--threads={os.cpu_count()}")
                for entry in program.measure(options, arguments.min_time)["benchmarks"]:
                    case = parse_name(entry["name"])
                    rows.append(case | {"axis": axis, "bytes": size, "ns": entry["best_ns"]})
    return Growth(rows)


def _ceiling_sizes(results: Measurements, threads: int) -> dict[str, int]:
    """Bytes of a tensor whose copy stays in each cache, and of one that does not."""
    sizes, largest = {}, 32 << 20
    caches = [cache for cache in results.context["caches"] if cache["type"] != "Instruction"]
    for cache in caches:
        copies = max(1, threads // cache["num_sharing"])  # each thread's core has its own
        sizes[f"L{cache['level']}"] = cache["size"] * copies // CACHE_SHARE
        largest = max(largest, cache["size"])
    return sizes | {"memory": MEMORY_FACTOR * largest}


def measure_ceilings(
    program: Program, results: Measurements, arguments: argparse.Namespace
) -> pd.DataFrame:
    """The speed of a copy, read and written bytes together, in each cache and in memory."""
    rows = []
    for threads in sorted(results.samples()["threads"].unique()):
        for place, size in _ceiling_sizes(results, int(threads)).items():
            options = [f"--shape={size // ELEMENT_BYTES // FIXED}x{FIXED}", f"--threads={threads}"]
            options.append(f"--benchmark_filter=^infer/any/.*/{FLOOR}")
            runs = [
                program.measure(options, arguments.min_time)["benchmarks"][0]["best_ns"]
                for _ in range(arguments.rounds)
            ]
            rows.append((place, threads, 2 * size / min(runs)))
    return pd.DataFrame(rows, columns=["copy in", "threads", "GB/s"])
