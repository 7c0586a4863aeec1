"""What a peer in Python shares with our own program: options, data, judge, timing, output.

It takes the options of bench/suite/suite.h and gives the JSON of Google Benchmark, as far as
bench/run.py reads it. The inputs are those of bench/suite/problem.cpp, judged in float64.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import sys
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

EPS = 1e-5
SHORTEST_SAMPLE = 20e-6  # as in bench/suite/measure.h
FEWEST_SAMPLES = 3
CHUNK = 1 << 22  # elements that are judged at a time
TOLERANCE = 1e-3  # peers sum in float32; this has to catch a wrong operation, layout or argument
ROUNDING = {"f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}
OPERATIONS = ("train", "infer", "backward")


@dataclass(frozen=True)
class Case:
    operation: str
    layout: str
    dtype: str
    n: int
    c: int
    length: int
    rank: int
    threads: int

    @property
    def shape_name(self) -> str:
        extents = [self.n, self.c, self.length][: self.rank]
        return "x".join(str(extent) for extent in extents)

    @property
    def cut(self) -> tuple[int, int, int]:
        """The tensor in memory order as (outer, C, inner)."""
        if self.layout == "ncl":
            return self.n, self.c, self.length
        return self.n * self.length, self.c, 1


def uniform(count: int, seed: int) -> np.ndarray:
    """bench/suite/problem.cpp's uniform(), float32 in [-1, 1)."""
    result = np.empty(count, np.float32)
    for start in range(0, count, CHUNK):
        index = np.arange(start, min(start + CHUNK, count), dtype=np.uint64)
        bits = (index + np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
        bits ^= bits >> np.uint64(32)
        bits *= np.uint64(0xD6E8FEB86659FD93)
        result[start : start + CHUNK] = (bits.view(np.int64) >> 40).astype(np.float32) * 2.0**-23
    return result


class Data:
    """The inputs of one shape: float32, in memory order."""

    def __init__(self, case: Case) -> None:
        count = case.n * case.c * case.length
        self.x = np.float32(0.5) + np.float32(2.0) * uniform(count, 1)
        self.dy = uniform(count, 2)
        self.weight = np.float32(1.0) + np.float32(0.5) * uniform(case.c, 3)
        self.bias = uniform(case.c, 4)
        self.running_mean = uniform(case.c, 5)
        self.running_var = np.float32(1.5) + uniform(case.c, 6)


@dataclass
class Result:
    """What a peer computed, in memory order; the gradients only of backward."""

    out: np.ndarray
    dweight: np.ndarray | None = None
    dbias: np.ndarray | None = None


class Judge:
    """Compares with float64, element by element. x and dy are what the peer was given."""

    def __init__(self, case: Case, data: Data, x: np.ndarray, dy: np.ndarray) -> None:
        self.case, self.data = case, data
        self.x, self.dy = x.reshape(case.cut), dy.reshape(case.cut)
        self.count = case.cut[0] * case.cut[2]
        self.tolerance = TOLERANCE + 4 * ROUNDING[case.dtype]
        self.mean = self._sum(lambda rows: self._x(rows)) / self.count
        square = self._sum(lambda rows: (self._x(rows) - self._c(self.mean)) ** 2)
        self.invstd = 1 / np.sqrt(square / self.count + EPS)

    def check(self, result: Result) -> None:
        if self.case.operation == "infer":
            self.mean = self.data.running_mean.astype(np.float64)
            self.invstd = 1 / np.sqrt(self.data.running_var.astype(np.float64) + EPS)
        if self.case.operation == "backward":
            self._check_backward(result)
        else:
            self._check_elements(result.out, self._y)

    def _rows(self) -> list[slice]:
        step = max(1, CHUNK // (self.case.cut[1] * self.case.cut[2]))
        return [slice(start, start + step) for start in range(0, self.case.cut[0], step)]

    def _c(self, values: np.ndarray) -> np.ndarray:
        return values.astype(np.float64)[:, None]

    def _x(self, rows: slice) -> np.ndarray:
        return self.x[rows].astype(np.float64)

    def _xhat(self, rows: slice) -> np.ndarray:
        return (self._x(rows) - self._c(self.mean)) * self._c(self.invstd)

    def _sum(self, terms: Callable[[slice], np.ndarray]) -> np.ndarray:
        return sum((terms(rows).sum(axis=(0, 2)) for rows in self._rows()), np.zeros(1))

    def _y(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        xhat = self._xhat(rows)
        wanted = xhat * self._c(self.data.weight) + self._c(self.data.bias)
        return wanted, 1 + np.abs(xhat) + np.abs(self._c(self.mean) * self._c(self.invstd))

    def _check_backward(self, result: Result) -> None:
        dy, count = self.dy, self.count
        dbias = self._sum(lambda rows: dy[rows].astype(np.float64))
        dweight = self._sum(lambda rows: dy[rows] * self._xhat(rows))
        scale = self._sum(lambda rows: np.abs(dy[rows] * self._xhat(rows)))
        assert result.dweight is not None
        assert result.dbias is not None
        self._compare("dbias", result.dbias, dbias, 1 + self._sum(lambda rows: np.abs(dy[rows])))
        self._compare("dweight", result.dweight, dweight, 1 + scale)

        def dx(rows: slice) -> tuple[np.ndarray, np.ndarray]:
            xhat, gradient = self._xhat(rows), dy[rows].astype(np.float64)
            factor = self._c(self.data.weight) * self._c(self.invstd)
            mean = self._c(dbias) / count + xhat * self._c(dweight) / count
            return factor * (gradient - mean), factor * (1 + np.abs(gradient) + np.abs(xhat))

        self._check_elements(result.out, dx)

    def _check_elements(
        self, out: np.ndarray, wanted: Callable[[slice], tuple[np.ndarray, np.ndarray]]
    ) -> None:
        got = out.reshape(self.case.cut)
        for rows in self._rows():
            self._compare(self.case.operation, got[rows], *wanted(rows))

    def _compare(
        self, what: str, got: np.ndarray, wanted: np.ndarray, magnitude: np.ndarray
    ) -> None:
        # A NaN fails too: only a number within the bound passes.
        good = np.abs(got.astype(np.float64) - wanted) <= self.tolerance * magnitude
        if not good.all():
            sys.exit(f"wrong result: {what} of {self.case.shape_name}, {self.case.layout}")


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


if TYPE_CHECKING:  # Python 3.9 has no |, and OneFlow runs there
    Measure = Callable[[Case, Data, float], tuple[str, float] | None]


def main(program: str, context: dict[str, str], dtypes: tuple[str, ...], measure: Measure) -> None:
    """`measure` prepares a case, has its result judged, and returns a label and ns per call, or
    None if the peer cannot do it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", required=True)
    parser.add_argument("--dtypes", default="f32")
    parser.add_argument("--threads", default=",".join({"1": 0, str(os.cpu_count()): 0}))
    parser.add_argument("--benchmark_filter", default="")
    parser.add_argument("--benchmark_min_time", type=float, default=0.1)
    parser.add_argument("--benchmark_format", choices=["json"], default="json")
    arguments = parser.parse_args()
    # Standard output is for the JSON alone; libraries print to it as they please.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    extents = [int(extent) for extent in arguments.shape.split("x")]
    rank = len(extents)
    n, c, length = (*extents, 1)[:3]
    benchmarks = []
    data: Data | None = None
    wanted = [dtype for dtype in arguments.dtypes.split(",") if dtype in dtypes]
    for dtype, operation, threads, layout in itertools.product(
        wanted, OPERATIONS, arguments.threads.split(","), ("nlc", "ncl")[: rank - 1]
    ):
        case = Case(operation, layout, dtype, n, c, length, rank, int(threads))
        name = f"{operation}/{layout}/{dtype}/{arguments.shape}/threads:{threads}/{program}"
        if re.search(arguments.benchmark_filter, name):
            data = data or Data(case)
            if done := measure(case, data, arguments.benchmark_min_time):
                benchmarks.append({"name": name, "best_ns": done[1], "label": done[0]})
    print(json.dumps({"context": context, "benchmarks": benchmarks}), file=output)
