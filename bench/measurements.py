"""What the benchmark programs measured, and what follows from it."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

OURS = "halnorm"
FLOOR = "floor"
OPERATION_TITLES = {"train": "training forward", "infer": "inference", "backward": "backward"}
OPERATIONS = tuple(OPERATION_TITLES)
LAYOUTS = ("ncl", "nlc")

# Tensors read and written when no pass finds its data in a cache (see docs/benchmarks/README.md).
TRAFFIC = {"train": 3, "infer": 2, "backward": 5}


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
    def tensor_bytes(self) -> int:
        return 4 * self.n * self.c * self.l

    @property
    def layouts(self) -> tuple[str, ...]:
        return LAYOUTS if self.rank == 3 else ("nlc",)


@dataclass(frozen=True, order=True)
class Case:
    """What is compared: one operation on one shape in one layout with a number of threads."""

    operation: str
    layout: str
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
    gb_per_s: float
    floor: Spread
    of_floor: Spread
    peers: dict[str, Spread] = field(default_factory=dict)
    against: dict[str, Spread] = field(default_factory=dict)
    kernel: str = ""


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
        """Takes in one benchmark; its name is operation/layout/shape/threads:T/program/..."""
        operation, layout, shape, threads, program = name.split("/")[:5]
        case = Case(operation, layout, int(threads.removeprefix("threads:")), shape)
        self.times[program][case].append(best_ns)
        self.labels[program, case] = label

    def peers(self) -> list[str]:
        return sorted(set(self.times) - {OURS, FLOOR})

    def rows(self) -> list[Row]:
        """All cases that we measured ourselves: by operation, layout and threads, as the suite."""
        order = {shape.name: index for index, shape in enumerate(self.shapes)}
        size = {shape.name: shape.tensor_bytes for shape in self.shapes}

        def position(case: Case) -> tuple[int, str, int, int]:
            return OPERATIONS.index(case.operation), case.layout, case.threads, order[case.shape]

        return [
            self._row(case, size[case.shape]) for case in sorted(self.times[OURS], key=position)
        ]

    def _row(self, case: Case, tensor_bytes: int) -> Row:
        ours = self.times[OURS][case]
        floor = self.times[FLOOR][Case(case.operation, "any", case.threads, case.shape)]
        time = Spread.of(ours)
        row = Row(
            case,
            time,
            TRAFFIC[case.operation] * tensor_bytes / time.median,
            Spread.of(floor),
            _ratios(floor, ours),
            kernel=self.labels[OURS, case],
        )
        for peer in self.peers():
            if case in self.times[peer]:
                row.peers[peer] = Spread.of(self.times[peer][case])
                row.against[peer] = _ratios(self.times[peer][case], ours)
        return row


def _ratios(theirs: list[float], ours: list[float]) -> Spread:
    """Round by round, since the rounds differ more than the programs within one."""
    return Spread.of(their / our for their, our in zip(theirs, ours, strict=True))


@dataclass(frozen=True)
class Summary:
    """Geometric means over the shapes of one operation, layout and thread count."""

    operation: str
    layout: str
    threads: int
    shapes: int
    of_floor: float
    worst_of_floor: float
    against: dict[str, float]


def summaries(rows: list[Row]) -> list[Summary]:
    groups: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.case.operation, row.case.layout, row.case.threads].append(row)
    return [_summary(*key, group) for key, group in groups.items()]


def _summary(operation: str, layout: str, threads: int, rows: list[Row]) -> Summary:
    peers = sorted({peer for row in rows for peer in row.against})
    against = {
        peer: geometric_mean(row.against[peer].median for row in rows if peer in row.against)
        for peer in peers
    }
    ratios = [row.of_floor.median for row in rows]
    return Summary(
        operation, layout, threads, len(rows), geometric_mean(ratios), min(ratios), against
    )


def geometric_mean(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))
