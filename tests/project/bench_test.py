"""Tests of what the benchmark's Python makes of measurements (PYTHONPATH=bench:bench/peers)."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import compare
import numpy as np
import peer_suite
from results import growth, page, tables
from results.measurements import (
    FLOOR,
    LAYOUTS,
    OPERATIONS,
    OURS,
    Measurements,
    Shape,
    parse_name,
    suite_shapes,
)
from results.programs import ROOT

SHAPES = [Shape("20x100", True, "small"), Shape("8x512x64", True, "large")]
CACHES = [
    {"level": 1, "type": "Data", "size": 32 << 10, "num_sharing": 1},
    {"level": 1, "type": "Instruction", "size": 32 << 10, "num_sharing": 1},
    {"level": 3, "type": "Unified", "size": 32 << 20, "num_sharing": 2},
]
PLAIN = ("train", "infer", "backward")


def measurements(operations: tuple[str, ...] = PLAIN) -> Measurements:
    """Two rounds in which we reach half of the floor's speed, and the peer a fifth of ours."""
    results = Measurements(SHAPES)
    for scale in (1.0, 1.1):
        for shape in SHAPES:
            for operation in operations:
                for threads in (1, 2):
                    end = f"f32/{shape.name}/threads:{threads}"
                    results.add(f"{operation}/any/{end}/floor/manual_time", 100 * scale)
                    for layout in shape.layouts:
                        name = f"{operation}/{layout}/{end}"
                        results.add(f"{name}/{OURS}/manual_time", 200 * scale, "kernel")
                        results.add(f"{name}/torch", 1000 * scale)
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
                results.add(name, time * scale)
    return results


class MeasurementsTest(unittest.TestCase):
    def test_names(self) -> None:
        case = parse_name("train/ncl/bf16/8x512x64/threads:2/onednn/manual_time")
        self.assertEqual(list(case.values()), ["train", "ncl", "bf16", "8x512x64", 2, "onednn"])

    def test_ratios_are_formed_within_rounds(self) -> None:
        cases = measurements().cases()
        self.assertEqual(len(cases), 3 * 2 * 3)
        for stat in ("median", "min", "max"):
            np.testing.assert_allclose(cases["of floor", stat], 0.5)
            np.testing.assert_allclose(cases["x torch", stat], 5.0)
        np.testing.assert_allclose(cases[OURS, "median"], 210)

    def test_bytes_per_second(self) -> None:
        speed = measurements().cases()["GB/s", "max"]
        self.assertAlmostEqual(speed["f32", "train", "nlc", 1, "20x100"], 3 * 4 * 2000 / 200)

    def test_summaries_keep_layouts_apart(self) -> None:
        summary = measurements().summary()
        self.assertEqual(summary.loc[("f32", "train", "ncl", 1), "shapes"], 1)
        self.assertEqual(summary.loc[("f32", "train", "nlc", 1), "shapes"], 2)
        np.testing.assert_allclose(summary["of floor"], 0.5)

    def test_halves_are_compared_with_the_whole(self) -> None:
        halves = measurements(("train", "moments", "elemt")).halves()
        self.assertEqual(list(halves), ["train"])
        np.testing.assert_allclose(halves["train"], 2.0)

    def test_the_programs_know_the_same_operations(self) -> None:
        text = (ROOT / "bench/suite/floor.h").read_text()
        rows = re.findall(r'\{"(\w+)", "(\w+)", (\d), (\d), (\d)\}', text)
        known = {name: (group, sum(map(int, counts))) for name, group, *counts in rows}
        wanted = {name: (kind.group, kind.tensors) for name, kind in OPERATIONS.items()}
        self.assertEqual(known, wanted)

    def test_shapes_of_the_suite(self) -> None:
        shapes = {shape.name: shape for shape in suite_shapes()}
        self.assertEqual(shapes["20x100"].layouts, ("nlc",))
        self.assertEqual(shapes["8x512x64"].extents, [8, 512, 64])
        self.assertTrue(shapes["8x512x64"].quick)
        self.assertEqual(sum(shape.quick for shape in shapes.values()), 11)


class PageTest(unittest.TestCase):
    def test_page_has_every_shape_and_plot(self) -> None:
        results = measurements()
        ceilings = page.pd.DataFrame(
            [("L1", 2, 100.0), ("memory", 2, 20.0)], columns=["copy in", "threads", "GB/s"]
        )
        times = {"axis": "N", OURS: 10.0, FLOOR: 5.0}
        rows = [
            times | {"operation": operation, "layout": layout, "bytes": size}
            for operation in PLAIN
            for layout in LAYOUTS
            for size in (1024, 4096)
        ]
        grown = page.pd.DataFrame(rows)
        report = page.Report(results, "./dev bench", ceilings, grown, narrow_measurements())
        with tempfile.TemporaryDirectory() as folder:
            written = page.write(report, Path(folder))
            text = written[0].read_text()
            for path in written:
                self.assertGreater(path.stat().st_size, 500)
        self.assertEqual(len(written), 5)
        for name in [path.name for path in written[1:]] + [shape.name for shape in SHAPES]:
            self.assertIn(name, text)
        self.assertIn("1.73", text)  # the mean of 16-bit data
        self.assertIn("5.00", tables.sections(results, markdown=False)["Every shape"])


class NarrowTest(unittest.TestCase):
    def test_table_has_the_mean_and_the_least(self) -> None:
        row = narrow_measurements().against_float32().iloc[0]
        self.assertEqual(list(row)[:4], ["train", "f16", 1, 2])
        self.assertAlmostEqual(row["x float32"], 3**0.5)
        self.assertAlmostEqual(row["least"], 1.5)
        self.assertEqual(row["on"], "NLC 8x512x64")

    def test_a_dtype_alone_has_nothing_beside_it(self) -> None:
        self.assertEqual(len(measurements().against_float32()), 0)
        self.assertEqual(len(Measurements([]).against_float32()), 0)


class GrowthTest(unittest.TestCase):
    def test_one_axis_grows_and_memory_is_kept(self) -> None:
        shapes = growth.shapes_of("L", memory_limit=0.001)
        self.assertEqual([shape.name for shape in shapes[:2]], ["16x16x1", "16x16x4"])
        self.assertLessEqual(3 * shapes[-1].tensor_bytes("f32"), 1e6)


class CompareTest(unittest.TestCase):
    def changes(self, **sides: list[float]) -> compare.pd.DataFrame:
        results = Measurements(SHAPES)
        for side, times in sides.items():
            for ns in times:
                results.add("train/ncl/f32/8x512x64/threads:1/halnorm", ns, program=side)
        return compare.changes(results.samples())

    def change(self, base: list[float], new: list[float], again: list[float]) -> compare.pd.Series:
        return self.changes(base=base, new=new, again=again).iloc[0]

    def test_a_case_that_became_slower_is_printed(self) -> None:
        result = self.changes(base=[100, 101], new=[200, 201], again=[201, 200])
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.assertEqual(compare.report(result), 1)
        self.assertRegex(printed.getvalue(), r"training forward +ncl +f32 +8x512x64 +1 .* 0\.50")

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


class JudgeTest(unittest.TestCase):
    """Results that numpy computes in another way pass, and wrong ones do not."""

    def setUp(self) -> None:
        self.data = peer_suite.Data((4, 3, 5))

    def y(self, layout: str) -> np.ndarray:
        x = self.data.x.astype(np.float64).reshape((4, 3, 5) if layout == "ncl" else (4, 5, 3))
        x = x if layout == "ncl" else x.transpose(0, 2, 1)
        var = x.var(axis=(0, 2), keepdims=True)
        xhat = (x - x.mean(axis=(0, 2), keepdims=True)) / np.sqrt(var + peer_suite.EPS)
        y = xhat * self.data.weight[None, :, None] + self.data.bias[None, :, None]
        return np.ascontiguousarray(y if layout == "ncl" else y.transpose(0, 2, 1))

    def check(self, layout: str, operation: str, *results: np.ndarray) -> None:
        case = peer_suite.Case(operation, layout, "f32", (4, 3, 5), 1)
        peer_suite.check(case, self.data, (self.data.x, self.data.dy), *results)

    def test_right_results_pass(self) -> None:
        for layout in ("ncl", "nlc"):
            self.check(layout, "train", self.y(layout))

    def test_channels_are_judged_part_by_part(self) -> None:
        with unittest.mock.patch.object(peer_suite, "CHUNK", 40):
            self.check("ncl", "train", self.y("ncl"))

    def test_one_wrong_element_is_found(self) -> None:
        for wrong in (0.01, float("nan")):
            y = self.y("ncl")
            y[3, 2, 4] += wrong
            with self.assertRaises(SystemExit):
                self.check("ncl", "train", y)

    def test_the_other_layout_is_found(self) -> None:
        with self.assertRaises(SystemExit):
            self.check("nlc", "train", self.y("ncl"))

    def test_gradients(self) -> None:
        # If dy is constant, dx and dweight are 0.
        self.data.dy[:] = 1
        dx, dweight, dbias = np.zeros((4, 3, 5)), np.zeros(3), np.full(3, 20.0)
        self.check("ncl", "backward", dx, dweight, dbias)
        for wrong in (
            (dx + 0.1, dweight, dbias),
            (dx, dweight + 0.1, dbias),
            (dx, dweight, dbias + 1),
        ):
            with self.assertRaises(SystemExit):
                self.check("ncl", "backward", *wrong)


if __name__ == "__main__":
    unittest.main()
