"""What the benchmark programs measured, and what follows from it."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

OURS = "halnorm"
FLOOR = "floor"
OPERATION_TITLES = {"train": "training forward", "infer": "inference", "backward": "backward"}
OPERATIONS = tuple(OPERATION_TITLES)
LAYOUTS = ("ncl", "nlc")
DTYPE_BYTES = {"f32": 4, "f16": 2, "bf16": 2}

# Tensors read and written when no pass finds its data in a cache (see docs/benchmarks/README.md).
TRAFFIC = {"train": 3, "infer": 2, "backward": 5}

# Additions and multiplications per element: the sums, and then the normalization.
FLOPS = {"train": 4 + 3, "infer": 3, "backward": 4 + 5}


@dataclass(frozen=True)
class Shape:
    """One shape of the suite, as `halnorm_bench --shapes` prints it."""

    name: str
    n: int
    c: int
    l: int  # noqa: E741  the project's own name for the axis
    rank: int
    quick: bool
    reason: str

    @property
    def numel(self) -> int:
        return self.n * self.c * self.l

    def tensor_bytes(self, dtype: str) -> int:
        return DTYPE_BYTES[dtype] * self.numel

    @property
    def layouts(self) -> tuple[str, ...]:
        return LAYOUTS if self.rank == 3 else ("nlc",)


@dataclass(frozen=True, order=True)
class Case:
    """What is compared: one operation on one shape in one layout with a number of threads."""

    operation: str
    layout: str
    dtype: str
    threads: int
    shape: str


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Iterable[float]) -> Spread:
        numbers = list(values)
        return Spread(statistics.median(numbers), min(numbers), max(numbers))


@dataclass
class Row:
    """One line of the result. Times are nanoseconds; ratios above 1 mean that we are faster."""

    case: Case
    time: Spread
    tensor_bytes: int
    floor: Spread
    of_floor: Spread
    peers: dict[str, Spread] = field(default_factory=dict)
    against: dict[str, Spread] = field(default_factory=dict)
    kernel: str = ""

    @property
    def gb_per_s(self) -> float:
        return TRAFFIC[self.case.operation] * self.tensor_bytes / self.time.median

    @property
    def best_peer(self) -> Spread | None:
        """The ratio to the fastest peer."""
        return min(self.against.values(), key=lambda ratio: ratio.median, default=None)


# times[program][case] holds the fastest time of each round, in the order of the rounds.
Times = dict[str, dict[Case, list[float]]]


class Measurements:
    """Collects the rounds."""

    def __init__(self, shapes: list[Shape]) -> None:
        self.shapes = shapes
        self.times: Times = defaultdict(lambda: defaultdict(list))
        self.labels: dict[tuple[str, Case], str] = {}
        self.calls: dict[str, list[float]] = defaultdict(list)
        self.context: dict[str, object] = {}

    def add(self, name: str, best_ns: float, label: str) -> None:
        """Takes in one benchmark."""
        program, case = parse_name(name)
        self.times[program][case].append(best_ns)
        self.labels[program, case] = label

    def peers(self) -> list[str]:
        return sorted(set(self.times) - {OURS, FLOOR})

    def rows(self) -> list[Row]:
        """All cases that we measured ourselves: by operation, layout and threads, as the suite."""
        order = {shape.name: index for index, shape in enumerate(self.shapes)}
        dtypes = list(DTYPE_BYTES)

        def position(case: Case) -> tuple[int, int, str, int, int]:
            operation, dtype = OPERATIONS.index(case.operation), dtypes.index(case.dtype)
            return dtype, operation, case.layout, case.threads, order[case.shape]

        return [
            self._row(case, self.shapes[order[case.shape]].tensor_bytes(case.dtype))
            for case in sorted(self.times[OURS], key=position)
        ]

    def _row(self, case: Case, tensor_bytes: int) -> Row:
        ours = self.times[OURS][case]
        floor = self.times[FLOOR][replace(case, layout="any")]
        row = Row(
            case,
            Spread.of(ours),
            tensor_bytes,
            Spread.of(floor),
            _ratios(floor, ours),
            kernel=self.labels[OURS, case],
        )
        for peer in self.peers():
            if case in self.times[peer]:
                row.peers[peer] = Spread.of(self.times[peer][case])
                row.against[peer] = _ratios(self.times[peer][case], ours)
        return row


def parse_name(name: str) -> tuple[str, Case]:
    """The program and the case of operation/layout/dtype/shape/threads:T/program/..."""
    parts = name.split("/")
    if parts[2] not in DTYPE_BYTES:  # as revisions named it that had float32 alone
        parts.insert(2, "f32")
    operation, layout, dtype, shape, threads, program = parts[:6]
    return program, Case(operation, layout, dtype, int(threads.removeprefix("threads:")), shape)


def _ratios(theirs: list[float], ours: list[float]) -> Spread:
    """Round by round, since the rounds differ more than the programs within one."""
    return Spread.of(their / our for their, our in zip(theirs, ours, strict=True))


@dataclass(frozen=True)
class Summary:
    """Geometric means over the shapes of one operation, layout, dtype and thread count."""

    operation: str
    layout: str
    dtype: str
    threads: int
    shapes: int
    of_floor: float
    worst_of_floor: float
    against: dict[str, float]


def summaries(rows: list[Row]) -> list[Summary]:
    groups: dict[Case, list[Row]] = defaultdict(list)
    for row in rows:
        groups[replace(row.case, shape="")].append(row)
    return [_summary(key, group) for key, group in groups.items()]


def _summary(key: Case, rows: list[Row]) -> Summary:
    peers = sorted({peer for row in rows for peer in row.against})
    against = {
        peer: geometric_mean(row.against[peer].median for row in rows if peer in row.against)
        for peer in peers
    }
    ratios = [row.of_floor.median for row in rows]
    return Summary(
        key.operation,
        key.layout,
        key.dtype,
        key.threads,
        len(rows),
        geometric_mean(ratios),
        min(ratios),
        against,
    )


def geometric_mean(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))
