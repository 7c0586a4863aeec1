"""How the tuner finds the best candidate: Optuna proposes, and a comparison decides.

A trial compiles a candidate and times it beside the default, in the same process and in turn, at
one place (a shape and a number of threads) after the other. Optuna's Wilcoxon pruner ends the trial
as soon as the candidate is behind the best one at these places. The finalists and the default then
run in several more processes, since the same code's time differs more between processes than within
one; the ratios of the processes give a confidence interval.
"""

from __future__ import annotations

import math
import subprocess
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from results.measurements import Shape
from results.programs import Program
from scipy import stats
from tuning.candidates import Candidate, CompileError, Compiler, Thresholds

FINALISTS = 2  # beside the default
SECONDS = 0.03  # for a candidate at one place in a trial

# The default and the range of each constant, as powers of two.
Constants = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where candidates are compared."""

    shape: Shape
    threads: int
    call: str = ""  # like "train/ncl/f32", for thresholds: they are of many kernels

    @property
    def name(self) -> str:
        return f"{self.call} {self.shape.name}, threads: {self.threads}".lstrip()


@dataclass(frozen=True)
class Verdict:
    """A candidate's time as a share of the default's, over all places: 0.8 is a fifth faster."""

    name: str
    ratio: float
    low: float
    high: float
    worst: float  # the place that gains least, or loses most
    worst_place: str

    def __str__(self) -> str:
        return f"{self.ratio:.3f} ({self.low:.3f}..{self.high:.3f})"


def interval(logs: list[float]) -> tuple[float, float, float]:
    """The mean of logarithms and its 95 % confidence interval, as ratios."""
    mean = float(np.mean(logs))
    low, high = stats.t.interval(0.95, len(logs) - 1, mean, max(stats.sem(logs), 1e-12))
    return math.exp(mean), math.exp(low), math.exp(high)


def verdict_of(name: str, ratios: dict[str, list[float]]) -> Verdict:
    """Of the ratios at each place, process by process."""
    logs = np.log(list(ratios.values())).mean(axis=0)
    medians = {place: float(np.median(values)) for place, values in ratios.items()}
    worst = max(medians, key=lambda place: medians[place])
    return Verdict(name, *interval(list(logs)), medians[worst], worst)


@dataclass
class Search:
    """Finds constants for one kernel."""

    driver: Path
    compiler: Compiler | Thresholds
    places: list[Place]
    constants: Constants
    say: Callable[[str], None] = print

    def __post_init__(self) -> None:
        self.default = self.compiler.compile([])
        self.known = {self.default.code: 1.0}  # the mean ratio of each code

    def study(self, storage: str, key: str) -> optuna.Study:
        """Of this key; continues if there is one already. The defaults are the first trial."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            storage=storage,
            study_name=f"{self.compiler.kernel.name} {key}",
            load_if_exists=True,
            sampler=optuna.samplers.TPESampler(seed=1, n_startup_trials=8),
            pruner=optuna.pruners.WilcoxonPruner(p_threshold=0.1, n_startup_steps=4),
        )
        if not study.trials:
            defaults = {name: one["default"] for name, one in self.constants.items()}
            study.enqueue_trial({name: int(math.log2(value)) for name, value in defaults.items()})
        return study

    def words_of(self, parameters: dict[str, int]) -> list[str]:
        """Powers of two by their exponents; a default, or the power below it, is left out."""
        return [
            f"{name}={1 << exponent}"
            for name, exponent in sorted(parameters.items())
            if exponent != int(math.log2(self.constants[name]["default"]))
        ]

    def trial(self, trial: optuna.Trial) -> float:
        for name, one in self.constants.items():
            trial.suggest_int(name, *(int(math.log2(value)) for value in one["range"]))
        candidate = self.compiler.compile(self.words_of(trial.params))
        known = self.known.get(candidate.code)
        logs = []
        for step, place in enumerate(self.places):
            ratio = known or self.ratios(place, [candidate], SECONDS)[0]
            logs.append(math.log(ratio))
            trial.report(logs[-1], step)
            if known is None and trial.should_prune():
                raise optuna.TrialPruned
        if known is None:
            self.known[candidate.code] = math.exp(float(np.mean(logs)))
            self.say(f"{candidate.name}: {self.known[candidate.code]:.3f} of the default's time")
        return self.known[candidate.code]

    def run(self, study: optuna.Study, budget: float) -> list[Candidate]:
        """Tries candidates for about `budget` seconds; the best ones, but not the default."""
        study.optimize(self.trial, timeout=max(budget, 0.1), catch=CompileError)
        complete = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
        best: dict[str, Candidate] = {}
        for trial in sorted(complete, key=lambda trial: trial.value):
            candidate = self.compiler.compile(self.words_of(trial.params))
            if candidate.code != self.default.code:
                best.setdefault(candidate.code, candidate)
        self.say(f"{len(study.trials)} candidates, {len(complete)} not ended early")
        return list(best.values())[:FINALISTS]

    def compare(self, finalists: list[Candidate], processes: int, budget: float) -> list[Verdict]:
        """Of each finalist. The budget may be exceeded: each process is run."""
        runs = processes * len(self.places) * (len(finalists) + 1)
        seconds = max(SECONDS / 3, budget / runs)
        found: list[dict[str, list[float]]] = [defaultdict(list) for _ in finalists]
        for place in self.places * processes:
            for ratios, value in zip(found, self.ratios(place, finalists, seconds), strict=True):
                ratios[place.name].append(value)
        return [verdict_of(c.name, r) for c, r in zip(finalists, found, strict=True)]

    def ratios(self, place: Place, candidates: list[Candidate], seconds: float) -> list[float]:
        """Of the candidates' times to the default's, from one process that times all in turn."""
        libraries = [self.default.library, *(c.library for c in candidates)]
        extents = [*place.shape.extents, 1][:3]
        words = [*extents, place.threads, f"{seconds:.4f}", *libraries]
        command = [str(word) for word in [self.driver, *words]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{place.name}: {done.stderr}")
        # A candidate that the driver leaves out gives other results, or an error.
        times = dict(line.split("\t") for line in done.stdout.splitlines())
        default = float(times[str(libraries[0])])
        return [float(times.get(str(path), "inf")) / default for path in libraries[1:]]


class ThresholdSearch(Search):
    """Finds thresholds, with which the bench program calls the library."""

    def ratios(self, place: Place, candidates: list[Candidate], seconds: float) -> list[float]:
        default, *others = (
            self.time(place, words, seconds)
            for words in ["", *(candidate.words for candidate in candidates)]
        )
        return [other / default for other in others]

    def time(self, place: Place, words: str, seconds: float) -> float:
        """In a process of its own: stores past the caches change what the next call finds."""
        program = Program("halnorm", (str(self.driver),), {"HALNORM_BENCH_THRESHOLDS": words})
        options = [
            f"--shape={place.shape.name}",
            f"--threads={place.threads}",
            f"--dtypes={place.call.rpartition('/')[2]}",
            f"--benchmark_filter=^{place.call}/.*/halnorm/",
        ]
        (found,) = program.measure(options, seconds)["benchmarks"]
        return float(found["best_ns"])
