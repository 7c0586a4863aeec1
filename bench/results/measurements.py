"""The samples of the benchmark programs, and their statistics as tables of pandas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import gmean

OURS, FLOOR = "halnorm", "floor"
LAYOUTS = ("ncl", "nlc")
DTYPE_BYTES = {"f32": 4, "f16": 2, "bf16": 2}
KEYS = ["dtype", "operation", "layout", "threads", "shape"]


@dataclass(frozen=True)
class Operation:
    title: str
    group: str  # plain, split or fused
    tensors: int  # read and written if no pass finds its data in a cache
    flops: int  # additions and multiplications per element


OPERATIONS = {
    "train": Operation("training forward", "plain", 3, 7),
    "infer": Operation("inference", "plain", 2, 3),
    "backward": Operation("backward", "plain", 5, 9),
    "moments": Operation("moments", "split", 1, 4),
    "elemt": Operation("elemt", "split", 2, 3),
    "backward_reduce": Operation("backward_reduce", "split", 2, 4),
    "backward_elemt": Operation("backward_elemt", "split", 3, 5),
    "fused_train": Operation("fused training", "fused", 4, 9),
    "fused_infer": Operation("fused inference", "fused", 3, 5),
    "fused_backward": Operation("fused backward", "fused", 8, 10),
}
# An operation, and the two halves that synchronized layers call in its place.
HALVES = {"train": ("moments", "elemt"), "backward": ("backward_reduce", "backward_elemt")}


@dataclass(frozen=True)
class Shape:
    """NxC or NxCxL; (N, C) is measured as channels-last only."""

    name: str
    quick: bool = True  # part of the short run
    reason: str = "asked for"

    @property
    def extents(self) -> list[int]:
        return [int(extent) for extent in self.name.split("x")]

    def tensor_bytes(self, dtype: str) -> int:
        return DTYPE_BYTES[dtype] * math.prod(self.extents)

    @property
    def layouts(self) -> tuple[str, ...]:
        return LAYOUTS if len(self.extents) == 3 else ("nlc",)


def suite_shapes() -> list[Shape]:
    """The shapes of the suite, small to large within each kind."""
    rows = pd.read_csv(Path(__file__).parents[1] / "suite/shapes.csv")
    return [Shape(*row) for row in rows.itertuples(index=False)]


def parse_name(name: str) -> dict[str, object]:
    """The case and the series of operation/layout/dtype/shape/threads:T/series/..."""
    parts = ("operation", "layout", "dtype", "shape", "threads", "series")
    case: dict[str, object] = dict(zip(parts, name.split("/"), strict=False))
    return case | {"threads": int(str(case["threads"]).removeprefix("threads:"))}


class Measurements:
    """The fastest sample of each case in each round, of our program and of the peers."""

    def __init__(self, shapes: list[Shape]) -> None:
        self.shapes = shapes
        self.context: dict[str, object] = {}
        self.calls: dict[str, list[float]] = {}
        self._samples: list[dict[str, object]] = []

    def add_all(self, program: str, output: dict[str, Any]) -> None:
        """Google Benchmark's JSON of one run of a program."""
        self.context |= output.get("context", {})
        for entry in output["benchmarks"]:
            self.add(entry["name"], entry["best_ns"], entry.get("label", ""), program)

    def add(self, name: str, ns: float, label: str = "", program: str = "") -> None:
        self._samples.append(parse_name(name) | {"ns": ns, "label": label, "program": program})

    def samples(self) -> pd.DataFrame:
        """A row for each sample; sorted, operations and shapes have the order of their lists."""
        frame = pd.DataFrame(self._samples, columns=[*KEYS, "series", "ns", "label", "program"])
        shapes = [shape.name for shape in self.shapes]
        orders = {"dtype": list(DTYPE_BYTES), "operation": list(OPERATIONS), "shape": shapes}
        for key, order in orders.items():
            frame[key] = pd.Categorical(frame[key], order, ordered=True)
        frame["round"] = frame.groupby(["program", "series", *KEYS], observed=True).cumcount()
        return frame

    def peers(self) -> list[str]:
        return sorted({str(sample["series"]) for sample in self._samples} - {OURS, FLOOR})

    def cases(self) -> pd.DataFrame:
        """Over the rounds, median, min and max of each case's times in ns and of the ratios, which
        are formed round by round: rounds differ more than the programs within one."""
        times = self.samples().pivot(index=[*KEYS, "round"], columns="series", values="ns")
        times = times.reset_index()
        alike = [key for key in [*KEYS, "round"] if key != "layout"]
        floor = times.loc[times["layout"] == "any", [*alike, FLOOR]]
        times = times[times["layout"] != "any"].drop(columns=FLOOR).merge(floor, on=alike)
        times["of floor"] = times[FLOOR] / times[OURS]
        for peer in self.peers():
            times[f"x {peer}"] = times[peer] / times[OURS]
        sizes = {shape.name: shape for shape in self.shapes}
        times["GB/s"] = [
            OPERATIONS[row.operation].tensors * sizes[row.shape].tensor_bytes(row.dtype) / ns
            for row, ns in zip(times.itertuples(), times[OURS], strict=True)
        ]
        ratios = [f"x {peer}" for peer in self.peers()]
        figures = [OURS, "GB/s", FLOOR, "of floor", *self.peers(), *ratios]
        return times.groupby(KEYS, observed=True)[figures].agg(["median", "min", "max"])

    def summary(self) -> pd.DataFrame:
        """Geometric means over the shapes, and the worst share of the floor."""
        cases = self.cases().xs("median", axis=1, level=1)
        groups = cases.groupby(KEYS[:-1], observed=True)
        ratios = ["of floor", *(f"x {peer}" for peer in self.peers())]
        result = groups[ratios].agg(lambda values: gmean(values, nan_policy="omit"))
        result.insert(0, "shapes", groups.size())
        result.insert(2, "worst", groups["of floor"].min())
        return result

    def halves(self) -> pd.DataFrame:
        """The time of an operation's two halves over that of the operation."""
        medians = self.cases()[OURS, "median"].unstack("operation")
        found = {
            whole: (medians[first] + medians[second]) / medians[whole]
            for whole, (first, second) in HALVES.items()
            if {whole, first, second} <= set(medians)
        }
        return pd.DataFrame(found)

    def against_float32(self) -> pd.DataFrame:
        """float32's time over that of each narrow dtype: geometric mean and the least."""
        samples = self.samples().query("series == @OURS")
        others = [key for key in KEYS if key != "dtype"]
        times = samples.pivot(index=[*others, "round"], columns="dtype", values="ns")
        header = ["operation", "dtype", "threads", "figures", "x float32", "least", "on"]
        if "f32" not in times:
            return pd.DataFrame(columns=header)
        ratios = (1 / times.drop(columns="f32")).mul(times["f32"], axis=0).stack().dropna()
        medians = ratios.groupby([*others, "dtype"], observed=True).median().rename("ratio")
        rows = []
        for key, group in medians.reset_index().groupby(header[:3], observed=True):
            least = group.loc[group["ratio"].idxmin()]
            where = f"{least['layout'].upper()} {least['shape']}"
            rows.append((*key, len(group), gmean(group["ratio"]), least["ratio"], where))
        return pd.DataFrame(rows, columns=header)
