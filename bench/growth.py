"""How time grows with N, C and L, and how fast the caches and the memory copy."""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from measurements import FLOOR, Measurements, parse_name
from programs import Program

BUFFERS = 3  # tensors of the shape's size that the program holds
ELEMENT_BYTES = 4  # float32
FIXED = 16  # the two extents that stay; the third grows from 1: 1 KB
STEP = 4
LARGEST = 1 << 30  # bytes of a tensor
AXES = ("N", "C", "L")
# Of a cache: x and y together fill half of it. Memory: both are far larger than the last cache.
CACHE_SHARE = 4
MEMORY_FACTOR = 4


@dataclass
class Curve:
    """Times of one operation in one layout while one extent grows; threads: one per core."""

    axis: str
    operation: str
    layout: str  # "any": the floor
    sizes: list[int] = field(default_factory=list)  # bytes of a tensor
    times: list[float] = field(default_factory=list)  # ns


@dataclass(frozen=True)
class Ceiling:
    """What copying reaches, read and written bytes together."""

    place: str  # "L1", "L2", "L3" or "memory"
    threads: int
    gb_per_s: float


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


def _benchmarks(output: dict[str, object]) -> list[dict[str, object]]:
    benchmarks = output["benchmarks"]
    assert isinstance(benchmarks, list)
    return benchmarks


def _best_times(program: Program, options: list[str], min_time: float) -> dict[tuple, float]:
    """By program, operation and layout."""
    times = {}
    for entry in _benchmarks(program.measure(options, min_time)):
        name, case = parse_name(str(entry["name"]))
        times[name, case.operation, case.layout] = float(str(entry["best_ns"]))
    return times


def measure(program: Program, arguments: argparse.Namespace) -> list[Curve]:
    """Ours and the floor, the fastest of the rounds."""
    curves: dict[tuple[str, str, str], Curve] = {}
    started = time.monotonic()
    threads = os.cpu_count() or 1
    for axis in AXES:
        for name, size in extents(axis, arguments.memory_limit):
            print(f"[{time.monotonic() - started:4.0f} s] growth with {axis}: {name}", flush=True)
            best: dict[tuple, float] = defaultdict(lambda: float("inf"))
            for _ in range(arguments.rounds):
                options = [f"--shape={name}", f"--threads={threads}"]
                for key, ns in _best_times(program, options, arguments.min_time).items():
                    best[key] = min(best[key], ns)
            for (_, operation, layout), ns in best.items():
                key = axis, operation, layout
                curve = curves.setdefault(key, Curve(axis, operation, layout))
                curve.sizes.append(size)
                curve.times.append(ns)
    return list(curves.values())


def _cache_bytes(results: Measurements) -> dict[str, tuple[int, int]]:
    """Each data cache's bytes, and the cores that share it, as Google Benchmark found them."""
    caches = results.context.get("caches", [])
    assert isinstance(caches, list)
    return {
        f"L{cache['level']}": (cache["size"], cache["num_sharing"])
        for cache in caches
        if cache["type"] != "Instruction"
    }


def _ceiling_sizes(results: Measurements, threads: int) -> dict[str, int]:
    """Bytes of a tensor whose copy stays in each cache, and of one that does not."""
    caches = _cache_bytes(results)
    sizes = {}
    for place, (size, sharing) in caches.items():
        copies = max(1, threads // sharing)  # each thread's core has its own
        sizes[place] = size * copies // CACHE_SHARE
    largest = max((size for size, _ in caches.values()), default=32 << 20)
    sizes["memory"] = MEMORY_FACTOR * largest
    return sizes


def measure_ceilings(
    program: Program, results: Measurements, arguments: argparse.Namespace
) -> list[Ceiling]:
    ceilings = []
    for threads in sorted({row.case.threads for row in results.rows()}):
        for place, size in _ceiling_sizes(results, threads).items():
            options = [
                f"--shape={size // ELEMENT_BYTES // FIXED}x{FIXED}",
                f"--threads={threads}",
                f"--benchmark_filter=^infer/any/.*/{FLOOR}",
            ]
            runs = [
                _best_times(program, options, arguments.min_time)[FLOOR, "infer", "any"]
                for _ in range(arguments.rounds)
            ]
            ceilings.append(Ceiling(place, threads, 2 * size / min(runs)))
    return ceilings


def floor_of(curves: list[Curve], curve: Curve) -> Curve | None:
    wanted = curve.axis, curve.operation, "any"
    return next((c for c in curves if (c.axis, c.operation, c.layout) == wanted), None)
