"""How the tuner finds the best candidate: successive halving, and then a comparison that counts.

A rung measures all candidates that are left, beside the default in the same processes, and keeps
the better part; the next one has as much time for fewer candidates. The last rung runs in several
processes, since the same code's time differs more between processes than within one, and gives a
confidence interval.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from measurements import Shape, geometric_mean
from tune_candidates import Candidate

KEEP = 3  # of so many candidates a rung keeps one
FINALISTS = 2  # beside the default
RUNG_PROCESSES = 2
FINAL_SHARE = 0.4  # of the time that is left when the search begins
SHORTEST = 0.005  # seconds for a candidate on one shape; the driver takes three samples at least
# Two-sided 95 % points of Student's distribution by degrees of freedom.
STUDENT = (math.inf, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)


@dataclass(frozen=True)
class Place:
    """Where candidates are compared."""

    shape: Shape
    threads: int

    @property
    def name(self) -> str:
        return f"{self.shape.name}, threads: {self.threads}"


@dataclass
class Verdict:
    """A finalist's time as a share of the default's, over all places: 0.8 is a fifth faster."""

    name: str
    ratio: float
    low: float
    high: float
    worst: float  # the place that gains least, or loses most
    worst_place: str


@dataclass
class State:
    """What was measured so far: times[rung][process][place][candidate] in ns."""

    path: Path
    key: str
    times: dict[str, dict[str, dict[str, dict[str, float]]]] = field(default_factory=dict)

    @staticmethod
    def load(path: Path, key: str) -> State:
        """What is there, if it was measured with the same candidates and places."""
        if path.exists():
            document = json.loads(path.read_text())
            if document["key"] == key:
                return State(path, key, document["times"])
        return State(path, key)

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"key": self.key, "times": self.times}))
        unfinished.replace(self.path)


def interval(logs: list[float]) -> tuple[float, float, float]:
    """The mean of logarithms and its 95 % confidence interval, as ratios."""
    mean = statistics.fmean(logs)
    freedom = len(logs) - 1
    if freedom < 1:
        return math.exp(mean), 0.0, math.inf
    student = STUDENT[min(freedom, len(STUDENT) - 1)]
    margin = student * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - margin), math.exp(mean + margin)


class Search:
    """Measures the candidates of one kernel; the first is the default."""

    def __init__(
        self, driver: Path, candidates: list[Candidate], places: list[Place], state: State
    ) -> None:
        self.driver, self.candidates, self.places, self.state = driver, candidates, places, state
        self.default = candidates[0]
        self.say: Callable[[str], None] = print

    def run(self, budget: float, processes: int) -> list[Verdict]:
        """Searches for about `budget` seconds; the finalists, best first."""
        until = time.monotonic() + budget
        left = self.candidates[1:]
        rungs = self._rungs()
        for rung in range(rungs):
            share = (until - time.monotonic()) * (1 - FINAL_SHARE) / (rungs - rung)
            self._measure(f"rung {rung + 1}", left, RUNG_PROCESSES, share)
            ratios = self._ratios(f"rung {rung + 1}", left)
            works = [candidate for candidate in left if ratios[candidate.name] < math.inf]
            keep = max(FINALISTS, len(left) // KEEP)
            left = sorted(works, key=lambda candidate: ratios[candidate.name])[:keep]
            best = f"{left[0].name} {ratios[left[0].name]:.3f}" if left else "none"
            self.say(f"rung {rung + 1}/{rungs}: {len(left)} left, best: {best} of the default")
        self._measure("final", left, processes, max(0.0, until - time.monotonic()))
        return sorted((self._verdict(c) for c in left), key=lambda verdict: verdict.ratio)

    def _rungs(self) -> int:
        count, rungs = len(self.candidates) - 1, 0
        while count > FINALISTS:
            count, rungs = max(FINALISTS, count // KEEP), rungs + 1
        return rungs

    def _measure(self, rung: str, left: list[Candidate], processes: int, budget: float) -> None:
        done = self.state.times.setdefault(rung, {})
        until = time.monotonic() + budget
        missing = [
            (str(process), place)
            for process in range(processes)
            for place in self.places
            if place.name not in done.get(str(process), {})
        ]
        for index, (process, place) in enumerate(missing):
            late = time.monotonic() > until and process != "0"
            if late and rung != "final":
                return
            rest = max(0.0, until - time.monotonic()) / (len(missing) - index)
            seconds = max(SHORTEST, rest / (len(left) + 1))
            times = self._run_driver(place, [self.default, *left], seconds)
            done.setdefault(process, {})[place.name] = times
            self.state.save()

    def _run_driver(
        self, place: Place, candidates: list[Candidate], seconds: float
    ) -> dict[str, float]:
        shape = place.shape
        words = [shape.n, shape.c, shape.l, place.threads, f"{seconds:.4f}"]
        paths = {str(candidate.library): candidate.name for candidate in candidates}
        done = subprocess.run(
            [str(self.driver), *map(str, words), *paths],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"{place.name}: {done.stderr}")
        # Those that the driver leaves out do not work here, and so nowhere.
        times = dict.fromkeys(paths.values(), math.inf)
        for line in done.stdout.splitlines():
            path, best, _ = line.split("\t")
            times[paths[path]] = float(best)
        return times

    def _places(self, rung: str, name: str) -> Iterator[tuple[str, list[float]]]:
        """For each place the candidate's share of the default's time, process by process."""
        processes = self.state.times[rung].values()
        for place in self.places:
            ratios = [
                times[place.name][name] / times[place.name][self.default.name]
                for times in processes
                if name in times.get(place.name, {})
            ]
            if ratios:
                yield place.name, ratios

    def _ratios(self, rung: str, candidates: list[Candidate]) -> dict[str, float]:
        return {
            candidate.name: geometric_mean(
                statistics.median(ratios) for _, ratios in self._places(rung, candidate.name)
            )
            for candidate in candidates
        }

    def _verdict(self, candidate: Candidate) -> Verdict:
        places = dict(self._places("final", candidate.name))
        by_process = [
            statistics.fmean(math.log(ratio) for ratio in ratios)
            for ratios in zip(*places.values(), strict=True)
        ]
        medians = {name: statistics.median(ratios) for name, ratios in places.items()}
        worst = max(medians, key=lambda name: medians[name])
        return Verdict(candidate.name, *interval(by_process), medians[worst], worst)
