"""Tests of the search for better constants of a schedule (PYTHONPATH=bench:bench/peers)."""

from __future__ import annotations

import math
import re
import tempfile
import unittest
from pathlib import Path

import optuna
import tune
from results.measurements import Shape
from results.programs import ROOT
from tuning import candidates, file, search

SHAPES = [Shape("20x100", True, "small"), Shape("8x512x64", True, "large")]


class FakeCompiler:
    """Compiles nothing: a candidate's code is its words."""

    kernel = candidates.Kernel("train", "nlc", "f32", "avx2", "", ())

    def compile(self, words: list[str]) -> candidates.Candidate:
        name = " ".join(words) or "default"
        return candidates.Candidate(name, Path(name), name)


class TunerTest(unittest.TestCase):
    PLACES = (search.Place(SHAPES[0], 1), search.Place(SHAPES[1], 1))

    def searcher(self, best: str) -> search.Search:
        """Of two constants; `best` takes half of the default's time, any other the same."""
        constants = {
            "tune_a": {"default": 4, "range": [1, 8]},
            "tune_b": {"default": 2, "range": [2, 4]},
        }
        found = search.Search(Path(), FakeCompiler(), list(self.PLACES), constants)
        found.say = lambda _: None
        found.ratios = lambda _, wanted, __: [0.5 if c.name == best else 1.0 for c in wanted]
        return found

    def test_the_defaults_come_first_and_the_best_is_found(self) -> None:
        found = self.searcher("tune_a=1 tune_b=4")
        study = found.study("sqlite://", "key")
        study.optimize(found.trial, n_trials=30)
        self.assertEqual(study.trials[0].params, {"tune_a": 2, "tune_b": 1})
        self.assertEqual(study.best_value, 0.5)
        finalists = found.run(study, 0.01)
        self.assertEqual(finalists[0].name, "tune_a=1 tune_b=4")
        verdict = found.compare(finalists, 3, 0)[0]
        self.assertTrue(tune.is_better(verdict, search.verdict_of("again", {"one": [1.0, 1.0]})))
        self.assertAlmostEqual(verdict.ratio, 0.5)

    def test_a_stopped_search_continues_and_another_does_not(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            storage = f"sqlite:///{folder}/studies.sqlite"
            first = self.searcher("").study(storage, "key")
            first.optimize(self.searcher("").trial, n_trials=2)
            self.assertEqual(len(self.searcher("").study(storage, "key").trials), 2)
            states = [trial.state for trial in self.searcher("").study(storage, "other").trials]
            self.assertEqual(states, [optuna.trial.TrialState.WAITING])

    def test_a_shape_that_loses_prevents_an_entry(self) -> None:
        verdict = search.verdict_of("a", {"one": [0.5, 0.5], "two": [1.1, 1.1]})
        self.assertAlmostEqual(verdict.ratio, math.sqrt(0.55))
        self.assertEqual((verdict.worst, verdict.worst_place), (1.1, "two"))
        again = search.verdict_of("again", {"one": [1.0, 1.0]})
        self.assertFalse(tune.is_better(verdict, again))

    def test_a_gain_within_the_noise_of_the_default_is_no_entry(self) -> None:
        verdict = search.verdict_of("a", {"one": [0.94, 0.95], "two": [0.94, 0.95]})
        again = search.verdict_of("again", {"one": [0.95, 1.05]})
        self.assertFalse(tune.is_better(verdict, again))

    def test_interval_holds_the_mean_and_narrows(self) -> None:
        ratio, low, high = search.interval([math.log(r) for r in (0.8, 0.82, 0.78)])
        self.assertAlmostEqual(ratio, 0.8, places=3)
        self.assertLess(low, 0.8)
        self.assertLess(high, 0.9)

    def test_the_space_has_the_defaults_of_the_schedule(self) -> None:
        folder = ROOT / "generators/schedule/cpu"
        text = (folder / "x86.cpp").read_text() + (folder / "prefetch.h").read_text()
        found = {name: int(n) for name, n in re.findall(r"(\w+) = (\d+)[,;]\n", text)}
        space = tune.json.loads((ROOT / "bench/tuning/space.json").read_text())
        for name, constant in space["constants"].items():
            self.assertEqual(found[name], constant["default"])
            self.assertLess(constant["range"][0], constant["default"])
            self.assertGreater(constant["range"][1], constant["default"])
        for layouts in space["kernels"].values():
            for names in layouts.values():
                self.assertLessEqual(set(names), set(found))

    def test_the_space_has_the_thresholds_of_plans(self) -> None:
        text = (ROOT / "runtime/plan/machine.h").read_text()
        struct = re.search(r"struct Thresholds \{(.*?)\n\};", text, re.DOTALL)
        assert struct
        space = tune.json.loads((ROOT / "bench/tuning/space.json").read_text())["thresholds"]
        self.assertEqual(set(re.findall(r"int64_t (\w+)", struct.group(1))), set(space))
        for constant in space.values():
            self.assertLess(*constant["range"])

    def test_thresholds_are_timed_by_the_bench_program(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "program"
            program.write_text(
                "#!/bin/sh\n"
                'case "$*" in *--shape=20x100*--dtypes=bf16*train/nlc/bf16/*) ;; *) exit 1;; esac\n'
                '[ "$HALNORM_BENCH_THRESHOLDS" = "many_rows=64" ] && ns=2 || ns=4\n'
                'echo "{\\"benchmarks\\": [{\\"best_ns\\": $ns}]}"\n'
            )
            program.chmod(0o755)
            compiler = candidates.Thresholds(program)
            place = search.Place(SHAPES[0], 2, "train/nlc/bf16")
            found = search.ThresholdSearch(program, compiler, [place], {})
            finalists = [compiler.compile(["many_rows=64"]), compiler.default_again()]
            self.assertEqual(found.ratios(place, finalists, 0.01), [0.5, 1.0])

    def test_file_keeps_what_other_kernels_have(self) -> None:
        entries = {
            "train_ncl_f32_avx2": ("# a comment\n# and another\n", "tune_a=1 tune_b=2"),
            "train_nlc_f32_avx2": ("", "tune_a=3"),
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tuned/cpu.cmake"
            file.write(path, entries)
            self.assertEqual(file.read(path), entries)

    def test_new_thresholds_are_added_to_those_of_the_file(self) -> None:
        self.assertEqual(file.merged("many_rows=64 group_elements=1", "many_rows=128"),
                         "group_elements=1 many_rows=128")  # fmt: skip
        verdict = search.verdict_of("many_rows=128", {"one": [0.5, 0.5]})
        slower = search.verdict_of("many_rows=256", {"one": [1.5, 1.5]})
        again = search.verdict_of("again", {"one": [1.0, 1.0]})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cpu.cmake"
            file.write(path, {"thresholds": ("", "group_elements=1")})
            tune.keep(candidates.Thresholds.kernel, [slower], again, 1, path)
            self.assertEqual(file.read(path)["thresholds"][1], "group_elements=1")
            tune.keep(candidates.Thresholds.kernel, [verdict], again, 1, path)
            self.assertEqual(file.read(path)["thresholds"][1], "group_elements=1 many_rows=128")


if __name__ == "__main__":
    unittest.main()
