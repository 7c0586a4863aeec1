"""What a peer in Python shares with our own program: options, data, judge, timing, output.

It takes the options of bench/suite/suite.h and gives the JSON of Google Benchmark, as far as
bench/run.py reads it. The inputs are those of bench/suite/problem.cpp, judged in float64.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import re
import sys
import time
import timeit
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

EPS = 1e-5
SHORTEST_SAMPLE = 20e-6  # as in bench/suite/measure.h
FEWEST_SAMPLES = 3
CHUNK = 1 << 22  # elements that one step of the check takes
TOLERANCE = 1e-3  # peers sum in float32; this has to catch a wrong operation, layout or argument
ROUNDING = {"f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}
OPERATIONS = ("train", "infer", "backward")


@dataclass(frozen=True)
class Case:
    operation: str
    layout: str
    dtype: str
    extents: tuple[int, ...]  # N, C and perhaps L
    threads: int
    device: str = "cpu"

    @property
    def name(self) -> str:
        shape = "x".join(str(extent) for extent in self.extents)
        return f"{self.operation}/{self.layout}/{self.dtype}/{shape}/threads:{self.threads}"

    @property
    def cut(self) -> tuple[int, int, int]:
        """The tensor in memory order as (outer, C, inner)."""
        n, c, *rest = self.extents
        length = math.prod(rest)
        return (n, c, length) if self.layout == "ncl" else (n * length, c, 1)


def uniform(count: int, seed: int) -> np.ndarray:
    """bench/suite/problem.cpp's uniforms(), float32 in [-1, 1)."""
    bits = np.random.RandomState(seed).randint(0, 1 << 32, count, np.uint32)
    return (bits >> 8).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


class Data:
    """The inputs of one shape: float32, in memory order."""

    def __init__(self, extents: tuple[int, ...]) -> None:
        count, c = math.prod(extents), extents[1]
        self.x = np.float32(0.5) + np.float32(2.0) * uniform(count, 1)
        self.dy = uniform(count, 2)
        self.weight = np.float32(1.0) + np.float32(0.5) * uniform(c, 3)
        self.bias = uniform(c, 4)
        self.running_mean = uniform(c, 5)
        self.running_var = np.float32(1.5) + uniform(c, 6)


def check(
    case: Case,
    data: Data,
    given: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
    *gradients: np.ndarray,
) -> None:
    """Compares what a peer computed with float64, element by element. `given`: x and dy as the peer
    has them; tensors in memory order. `gradients`: of backward, those of weight and bias."""
    outer, channels, inner = case.cut
    tensors = [tensor.reshape(case.cut) for tensor in (*given, out)]
    columns = [data.weight, data.bias, data.running_mean, data.running_var, *gradients]
    # The loop takes some channels per step, so that the copies in float64 are small.
    step = max(1, CHUNK // (outer * inner))
    for part in (slice(start, start + step) for start in range(0, channels, step)):
        own = [values[part, None].astype(np.float64) for values in columns]
        _check_channels(case, [tensor[:, part].astype(np.float64) for tensor in tensors], own)


def _check_channels(case: Case, tensors: list[np.ndarray], columns: list[np.ndarray]) -> None:
    tolerance, count = TOLERANCE + 4 * ROUNDING[case.dtype], case.cut[0] * case.cut[2]

    def compare(what: str, got: np.ndarray, wanted: np.ndarray, scale: np.ndarray) -> None:
        # A NaN fails too: only a number within the bound passes.
        if not (np.abs(got - wanted) <= tolerance * scale).all():
            sys.exit(f"wrong result: {what} of {case}")

    def total(values: np.ndarray) -> np.ndarray:
        return values.sum(axis=(0, 2))[:, None]

    x, dy, got = tensors
    weight, bias, mean, var, *gradients = columns
    if case.operation != "infer":
        mean = total(x) / count
        var = total((x - mean) ** 2) / count
    invstd = 1 / np.sqrt(var + EPS)
    xhat = (x - mean) * invstd
    if case.operation != "backward":
        compare("y", got, xhat * weight + bias, 1 + np.abs(xhat) + np.abs(mean * invstd))
        return
    sums = {"dweight": dy * xhat, "dbias": dy}
    for (name, terms), gradient in zip(sums.items(), gradients):  # noqa: B905  since Python 3.10
        compare(name, gradient, total(terms), 1 + total(np.abs(terms)))
    dx = weight * invstd * (dy - total(dy) / count - xhat * total(dy * xhat) / count)
    compare("dx", got, dx, weight * invstd * (1 + np.abs(dy) + np.abs(xhat)))


def fastest(calls: dict[str, Callable[[], object]], min_time: float) -> tuple[str, float]:
    """The fastest way of several, a sample of each in turn, as in bench/suite/measure.h: its name
    and ns per call."""
    timers, repeats = {name: timeit.Timer(call) for name, call in calls.items()}, {}
    for name, timer in timers.items():
        timer.timeit(1)
        repeats[name] = 1
        while repeats[name] < 1 << 14 and timer.timeit(repeats[name]) < SHORTEST_SAMPLE:
            repeats[name] *= 2
    best, turns, until = dict.fromkeys(calls, float("inf")), 0, time.perf_counter() + min_time
    while time.perf_counter() < until or turns < FEWEST_SAMPLES:
        for name, timer in timers.items():
            best[name] = min(best[name], timer.timeit(repeats[name]) / repeats[name])
        turns += 1
    name = min(best, key=best.__getitem__)
    return name, best[name] * 1e9


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", required=True)
    parser.add_argument("--dtypes", default="f32")
    parser.add_argument("--threads", default=",".join({"1": 0, str(os.cpu_count()): 0}))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--benchmark_filter", default="")
    parser.add_argument("--benchmark_min_time", type=float, default=0.1)
    parser.add_argument("--benchmark_out")
    return parser.parse_known_args()[0]


def cases_of(arguments: argparse.Namespace, dtypes: tuple[str, ...]) -> Iterator[Case]:
    wanted = [dtype for dtype in arguments.dtypes.split(",") if dtype in dtypes]
    threads = [int(count) for count in arguments.threads.split(",")]
    for shape in arguments.shape.split(","):
        extents = tuple(int(extent) for extent in shape.split("x"))
        layouts = ("nlc", "ncl")[: len(extents) - 1]
        for dtype, operation, count, layout in product(wanted, OPERATIONS, threads, layouts):
            yield Case(operation, layout, dtype, extents, count, arguments.device)


def main(
    program: str,
    context: dict[str, str],
    dtypes: tuple[str, ...],
    prepare: Callable[[Case, Data], dict[str, Callable[[], object]]],
    queued: Callable[[Callable[[], object], float], list[float]] | None = None,
) -> None:
    """`prepare` has the results of a case judged, and returns the ways to call it by their names:
    none if the peer cannot do it. `queued`: of a peer that runs on devices, the ns per call of
    several runs, each of which takes the given seconds."""
    arguments = parse_arguments()
    # Standard output is for the JSON alone, but libraries print to it.
    output = Path(arguments.benchmark_out or f"/dev/fd/{os.dup(1)}")
    os.dup2(2, 1)
    benchmarks, data_of = [], functools.lru_cache(1)(Data)
    for case in cases_of(arguments, dtypes):
        name = f"{case.name}/{program}"
        if not re.search(arguments.benchmark_filter, name):
            continue
        calls = prepare(case, data_of(case.extents))
        if calls and case.device == "cpu":
            label, ns = fastest(calls, arguments.benchmark_min_time)
            benchmarks.append({"name": name, "best_ns": ns, "label": label})
        elif calls:
            runs = queued(next(iter(calls.values())), arguments.benchmark_min_time)
            run = {"name": name, "run_type": "iteration"}
            benchmarks += [run | {"real_time": ns} for ns in runs]
    output.write_text(json.dumps({"context": context, "benchmarks": benchmarks}))
