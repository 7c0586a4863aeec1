"""Tests of what the benchmark's Python makes of measurements. They time nothing.

PYTHONPATH=bench:bench/peers .venv/bin/python tests/project/bench_test.py
"""

from __future__ import annotations

import math
import tempfile
import unittest
from pathlib import Path

import compare
import growth
import narrow
import numpy as np
import page
import peer_suite
import tune_candidates
import tune_file
import tune_search
from measurements import OURS, Case, Measurements, Shape, parse_name, summaries

SHAPES = [
    Shape("20x100", 20, 100, 1, 2, True, "small"),
    Shape("8x512x64", 8, 512, 64, 3, True, "large"),
]
CACHES = [
    {"level": 1, "type": "Data", "size": 32 << 10, "num_sharing": 1},
    {"level": 1, "type": "Instruction", "size": 32 << 10, "num_sharing": 1},
    {"level": 3, "type": "Unified", "size": 32 << 20, "num_sharing": 2},
]


def measurements() -> Measurements:
    """Two rounds in which we reach half of the floor's speed, and the peer a fifth of ours."""
    results = Measurements(SHAPES)
    for scale in (1.0, 1.1):
        for shape in SHAPES:
            for operation in ("train", "infer", "backward"):
                for threads in (1, 2):
                    end = f"f32/{shape.name}/threads:{threads}"
                    results.add(f"{operation}/any/{end}/floor/manual_time", 100 * scale, "plain")
                    for layout in shape.layouts:
                        name = f"{operation}/{layout}/{end}"
                        results.add(f"{name}/{OURS}/manual_time", 200 * scale, "kernel")
                        results.add(f"{name}/torch", 1000 * scale, "")
    results.calls["module"] = [900.0, 950.0]
    results.context = {"date": "2026-01-01T00:00", "num_cpus": 2, "caches": CACHES}
    results.context |= {"halnorm_version": "0", "compiler": "GCC", "torch_version": "2"}
    return results


def narrow_measurements() -> Measurements:
    """Two rounds in which float16 takes half of float32's time in NCL, and two thirds in NLC."""
    results = Measurements(SHAPES)
    for scale in (1.0, 1.1):
        for layout, wide in (("ncl", 200), ("nlc", 150)):
            for dtype, time in (("f32", wide), ("f16", 100)):
                name = f"train/{layout}/{dtype}/8x512x64/threads:1/{OURS}/manual_time"
                results.add(name, time * scale, "kernel")
    return results


class NamesTest(unittest.TestCase):
    def test_name_with_dtype(self) -> None:
        program, case = parse_name("train/ncl/bf16/8x512x64/threads:2/onednn/manual_time")
        self.assertEqual(program, "onednn")
        self.assertEqual(case, Case("train", "ncl", "bf16", 2, "8x512x64"))

    def test_name_without_dtype_is_float32(self) -> None:
        _, case = parse_name("train/any/20x100/threads:1/floor/manual_time")
        self.assertEqual(case, Case("train", "any", "f32", 1, "20x100"))


class MeasurementsTest(unittest.TestCase):
    def test_ratios_are_formed_within_rounds(self) -> None:
        for row in measurements().rows():
            self.assertAlmostEqual(row.of_floor.low, 0.5)
            self.assertAlmostEqual(row.of_floor.high, 0.5)
            self.assertAlmostEqual(row.against["torch"].median, 5.0)

    def test_bytes_per_second(self) -> None:
        row = next(row for row in measurements().rows() if row.case.shape == "20x100")
        self.assertAlmostEqual(row.gb_per_s, 3 * 4 * 2000 / 210)

    def test_summaries_keep_layouts_apart(self) -> None:
        counts = {
            (s.layout, s.threads, s.operation): s.shapes for s in summaries(measurements().rows())
        }
        self.assertEqual(counts["ncl", 1, "train"], 1)
        self.assertEqual(counts["nlc", 1, "train"], 2)


class PageTest(unittest.TestCase):
    def test_page_has_every_shape_and_plot(self) -> None:
        ceilings = [growth.Ceiling("L1", 2, 100.0), growth.Ceiling("memory", 2, 20.0)]
        curves = [
            growth.Curve("N", operation, layout, [1024, 4096], [10.0, 20.0])
            for operation in ("train", "infer", "backward")
            for layout in ("any", "ncl", "nlc")
        ]
        with tempfile.TemporaryDirectory() as folder:
            report = page.Report(
                measurements(), "./dev bench", ceilings, curves, narrow_measurements()
            )
            written = page.write(report, Path(folder))
            text = written[0].read_text()
            for path in written:
                self.assertGreater(path.stat().st_size, 500)
        for path in written[1:]:
            self.assertIn(path.name, text)
        for shape in SHAPES:
            self.assertIn(shape.name, text)
        self.assertIn("1.73", text)  # narrow data's mean


class NarrowTest(unittest.TestCase):
    def test_only_large_shapes_are_beyond_the_caches(self) -> None:
        large = Shape("32x1024x1024", 32, 1024, 1024, 3, True, "134 MB")
        self.assertEqual(narrow.beyond_cache([*SHAPES, large]), [large])

    def test_table_has_the_mean_and_the_least(self) -> None:
        lines = narrow.table(narrow_measurements(), markdown=False).splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(
            lines[1].split(),
            ["training", "forward", "f16", "1", "2", f"{3**0.5:.2f}", "1.50", "NLC", "8x512x64"],
        )

    def test_a_dtype_alone_has_nothing_beside_it(self) -> None:
        results = Measurements(SHAPES)
        results.add(f"train/ncl/f16/8x512x64/threads:1/{OURS}/manual_time", 100, "kernel")
        self.assertEqual(len(narrow.table(results, markdown=False).splitlines()), 1)


class GrowthTest(unittest.TestCase):
    def test_one_axis_grows_and_memory_is_kept(self) -> None:
        shapes = list(growth.extents("L", memory_limit=0.001))
        self.assertEqual(shapes[0], ("16x16x1", 1024))
        self.assertEqual(shapes[1], ("16x16x4", 4096))
        self.assertLessEqual(3 * shapes[-1][1], 1e6)


class CompareTest(unittest.TestCase):
    CASE = Case("train", "ncl", "f32", 1, "8x512x64")

    def change(self, base: list[float], new: list[float], again: list[float]) -> compare.Change:
        return compare.change_of(
            self.CASE,
            {"base": {self.CASE: base}, "new": {self.CASE: new}, "again": {self.CASE: again}},
        )

    def test_slower_in_every_round_counts(self) -> None:
        change = self.change([100, 101, 99], [120, 121, 119], [121, 120, 119])
        self.assertTrue(change.counts)
        self.assertTrue(change.slower)

    def test_within_the_noise_of_ours_does_not_count(self) -> None:
        self.assertFalse(self.change([100, 101, 99], [120, 121, 119], [150, 121, 119]).counts)

    def test_rounds_that_disagree_do_not_count(self) -> None:
        self.assertFalse(self.change([100, 130, 99], [120, 121, 119], [120, 121, 119]).counts)

    def test_a_percent_does_not_count(self) -> None:
        self.assertFalse(self.change([101, 101, 101], [100, 100, 100], [100, 100, 100]).counts)

    def test_faster_is_not_slower(self) -> None:
        change = self.change([200, 200, 200], [100, 100, 100], [101, 100, 100])
        self.assertTrue(change.counts)
        self.assertFalse(change.slower)


class TunerTest(unittest.TestCase):
    def test_choices_begin_with_the_default_and_are_different(self) -> None:
        choices = tune_candidates.choices({"tune_a": [1, 2], "tune_b": [3]}, most=10)
        self.assertEqual(choices[0], {})
        self.assertIn({"tune_a": 2, "tune_b": 3}, choices)
        names = [tune_candidates.name_of(settings) for settings in choices]
        self.assertEqual(len(set(names)), 3 * 2)

    def test_choices_are_limited(self) -> None:
        space = {f"tune_{letter}": [1, 2, 3, 4] for letter in "abc"}
        self.assertEqual(len(tune_candidates.choices(space, most=20)), 20)

    def test_interval_holds_the_mean_and_narrows(self) -> None:
        ratio, low, high = tune_search.interval([math.log(r) for r in (0.8, 0.82, 0.78)])
        self.assertAlmostEqual(ratio, 0.8, places=3)
        self.assertLess(low, 0.8)
        self.assertLess(high, 0.9)
        self.assertEqual(tune_search.interval([0.0])[1:], (0.0, math.inf))

    def test_file_keeps_what_other_kernels_have(self) -> None:
        entries = {
            "train_ncl_f32_avx2": ("# a comment\n# and another\n", "tune_a=1 tune_b=2"),
            "train_nlc_f32_avx2": ("", "tune_a=3"),
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tuned/cpu.cmake"
            tune_file.write(path, entries)
            self.assertEqual(tune_file.read(path), entries)

    def test_state_of_other_candidates_is_not_taken(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state.json"
            state = tune_search.State(path, "one", {"final": {"0": {"place": {"default": 1.0}}}})
            state.save()
            self.assertEqual(tune_search.State.load(path, "one").times, state.times)
            self.assertEqual(tune_search.State.load(path, "two").times, {})


class JudgeTest(unittest.TestCase):
    """Results that numpy computes in another way pass, and wrong ones do not."""

    def setUp(self) -> None:
        self.case = peer_suite.Case("train", "ncl", "f32", 4, 3, 5, 3, 1)
        self.data = peer_suite.Data(self.case)

    def y(self, layout: str) -> np.ndarray:
        x = self.data.x.astype(np.float64).reshape((4, 3, 5) if layout == "ncl" else (4, 5, 3))
        x = x if layout == "ncl" else x.transpose(0, 2, 1)
        var = x.var(axis=(0, 2), keepdims=True)
        xhat = (x - x.mean(axis=(0, 2), keepdims=True)) / np.sqrt(var + peer_suite.EPS)
        y = xhat * self.data.weight[None, :, None] + self.data.bias[None, :, None]
        return np.ascontiguousarray(y if layout == "ncl" else y.transpose(0, 2, 1))

    def judge(self, layout: str) -> peer_suite.Judge:
        case = peer_suite.Case("train", layout, "f32", 4, 3, 5, 3, 1)
        return peer_suite.Judge(case, self.data, self.data.x, self.data.dy)

    def test_right_results_pass(self) -> None:
        for layout in ("ncl", "nlc"):
            self.judge(layout).check(peer_suite.Result(self.y(layout)))

    def test_one_wrong_element_is_found(self) -> None:
        for wrong in (0.01, float("nan")):
            y = self.y("ncl")
            y[3, 2, 4] += wrong
            with self.assertRaises(SystemExit):
                self.judge("ncl").check(peer_suite.Result(y))

    def test_the_other_layout_is_found(self) -> None:
        with self.assertRaises(SystemExit):
            self.judge("nlc").check(peer_suite.Result(self.y("ncl")))


if __name__ == "__main__":
    unittest.main()
