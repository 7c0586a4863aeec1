"""How time grows with N, C and L, and how fast the caches and the memory copy."""

from __future__ import annotations

import argparse
import itertools
import os

import pandas as pd
from results.measurements import FLOOR, OURS, Measurements, Shape
from results.programs import Program, run_rounds

BUFFERS = 3  # tensors of the shape's size that the program holds
FIXED = 16  # the two extents that stay; the third grows from 1: 1 KB
STEP = 4
LARGEST = 1 << 30  # bytes of a tensor
AXES = ("N", "C", "L")
# For a cache, x and y together fill half of it. For memory, both are far larger than the last
# cache.
CACHE_SHARE = 4
MEMORY_FACTOR = 4


def shapes_of(axis: str, memory_limit: float) -> list[Shape]:
    """The shapes in which this axis grows."""
    most = min(LARGEST, memory_limit * 1e9 / BUFFERS)
    powers = (STEP**power for power in itertools.count())
    shapes = (Shape("x".join(str(n if a == axis else FIXED) for a in AXES)) for n in powers)
    return list(itertools.takewhile(lambda shape: shape.tensor_bytes("f32") <= most, shapes))


def measure(program: Program, arguments: argparse.Namespace) -> pd.DataFrame:
    """Fastest times in ns while one extent grows, on all cores, and those of the floor."""
    axes = {axis: shapes_of(axis, arguments.memory_limit) for axis in AXES}
    selected = {shape: "^(train|infer|backward)/" for shapes in axes.values() for shape in shapes}
    options = {**vars(arguments), "dtypes": ["f32"], "threads": str(os.cpu_count())}
    results = run_rounds([program], selected, argparse.Namespace(**options))
    fastest = results.cases().xs("min", axis=1, level=1)[[OURS, FLOOR]].reset_index()
    rows = pd.DataFrame(
        {"axis": axis, "shape": shape.name, "bytes": shape.tensor_bytes("f32")}
        for axis, shapes in axes.items()
        for shape in shapes
    )
    return rows.merge(fastest, on="shape")


def _ceiling_sizes(results: Measurements, threads: int) -> dict[str, int]:
    """Bytes of a tensor whose copy stays in each cache, and of one that does not."""
    sizes, largest = {}, 32 << 20
    for cache in (one for one in results.context["caches"] if one["type"] != "Instruction"):
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
            n = size // Shape(f"1x{FIXED}").tensor_bytes("f32")
            options = [f"--shape={n}x{FIXED}", f"--threads={threads}"]
            options.append(f"--benchmark_filter=^infer/any/.*/{FLOOR}")
            runs = [
                program.measure(options, arguments.min_time)["benchmarks"][0]["best_ns"]
                for _ in range(arguments.rounds)
            ]
            rows.append((place, threads, 2 * size / min(runs)))
    return pd.DataFrame(rows, columns=["copy in", "threads", "GB/s"])
