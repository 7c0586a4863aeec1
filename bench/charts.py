"""Draws measurements: roofline, bars against the peers, a heat map over the shapes, growth."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from growth import AXES, Ceiling, Curve
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from measurements import (
    DTYPE_BYTES,
    FLOPS,
    LAYOUTS,
    OPERATION_TITLES,
    OPERATIONS,
    OURS,
    TRAFFIC,
    Measurements,
    Row,
    geometric_mean,
)
from PIL import Image

COLORS = dict(zip(OPERATIONS, ("tab:blue", "tab:green", "tab:red"), strict=True))
MARKERS = {"ncl": "o", "nlc": "s"}
LINES = {"ncl": "-", "nlc": "--", "any": ":"}
SHIFT = 1.04  # moves the layouts apart on the intensity axis, where they are equal


def _save(figure: Figure, path: Path) -> None:
    # The same measurements make the same file; text stays text, which is smaller.
    with mpl.rc_context({"svg.hashsalt": OURS, "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _save_pixels(figure: Figure, path: Path) -> None:
    """Few colours do, and take a quarter of the room."""
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png", dpi=110)
    pyplot.close(figure)
    with Image.open(pixels) as image:
        image.convert("RGB").quantize(64).save(path, optimize=True)


def _all_threads(rows: list[Row]) -> int:
    return max(row.case.threads for row in rows)


def intensity(operation: str, dtype: str) -> float:
    """Additions and multiplications per byte that an operation has to move."""
    return FLOPS[operation] / (TRAFFIC[operation] * DTYPE_BYTES[dtype])


def roofline(rows: list[Row], ceilings: list[Ceiling], path: Path) -> None:
    threads = _all_threads(rows)
    figure, axis = pyplot.subplots(figsize=(7.5, 4.5), layout="constrained")
    for operation, layout in itertools.product(OPERATIONS, LAYOUTS):
        shown = [
            row
            for row in rows
            if (row.case.operation, row.case.layout) == (operation, layout)
            and row.case.threads == threads
        ]
        if not shown:
            continue
        shift = SHIFT if layout == "nlc" else 1 / SHIFT
        axis.scatter(
            [intensity(operation, row.case.dtype) * shift for row in shown],
            [row.gb_per_s for row in shown],
            s=14,
            marker=MARKERS[layout],
            color=COLORS[operation],
            alpha=0.6,
            label=f"{OPERATION_TITLES[operation]}, {layout.upper()}",
        )
    for ceiling in ceilings:
        if ceiling.threads == threads:
            axis.axhline(ceiling.gb_per_s, color="black", linewidth=0.8)
            label = f"copy in {ceiling.place}: {ceiling.gb_per_s:.0f} GB/s"
            axis.annotate(
                label,
                (1, ceiling.gb_per_s),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                fontsize=8,
            )
    axis.set(xscale="log", yscale="log", xlabel="operations per byte", ylabel="GB/s")
    figure.legend(fontsize=7, loc="outside right upper")
    axis.set_title(
        f"Each shape's speed under what copying reaches, threads: {threads}", fontsize=10
    )
    _save(figure, path)


def peers(rows: list[Row], names: list[str], path: Path) -> None:
    """Geometric means over the shapes, with the slowest and the fastest shape."""
    threads = _all_threads(rows)
    groups = sorted(
        {(r.case.layout, OPERATIONS.index(r.case.operation), r.case.dtype) for r in rows}
    )
    figure, axis = pyplot.subplots(figsize=(7.5, 1.2 + 0.35 * len(groups) * len(names)),
                                   layout="constrained")  # fmt: skip
    thickness = 0.8 / len(names)
    for index, name in enumerate(names):
        places, means, low, high = [], [], [], []
        for place, (layout, operation, dtype) in enumerate(groups):
            ratios = [
                row.against[name].median
                for row in rows
                if (row.case.layout, row.case.operation, row.case.dtype, row.case.threads)
                == (layout, OPERATIONS[operation], dtype, threads)
                and name in row.against
            ]
            if ratios:
                mean = geometric_mean(ratios)
                places.append(place + (index + 0.5) * thickness - 0.4)
                means.append(mean)
                low.append(max(0.0, mean - min(ratios)))
                high.append(max(0.0, max(ratios) - mean))
        error = {"linewidth": 0.8}
        axis.barh(places, means, thickness, label=name, xerr=[low, high], error_kw=error)
    axis.axvline(1.0, color="black", linewidth=0.8)
    titles = [
        f"{OPERATION_TITLES[OPERATIONS[o]]}, {layout.upper()}, {d}" for layout, o, d in groups
    ]
    axis.set_yticks(range(len(groups)), titles, fontsize=8)
    axis.invert_yaxis()
    axis.set(xscale="log", xlabel="times as fast as the peer: mean over the shapes, and range")
    axis.legend(fontsize=8)
    axis.set_title(f"Against the peers, threads: {threads}", fontsize=10)
    _save(figure, path)


def heat_map(results: Measurements, path: Path) -> None:
    """The share of the floor's speed of each shape."""
    rows = results.rows()
    columns = sorted(
        {
            (r.case.dtype, r.case.layout, OPERATIONS.index(r.case.operation), r.case.threads)
            for r in rows
        }
    )
    names = [shape.name for shape in results.shapes]
    cells = [[float("nan")] * len(columns) for _ in names]
    for row in rows:
        case = row.case
        column = columns.index(
            (case.dtype, case.layout, OPERATIONS.index(case.operation), case.threads)
        )
        cells[names.index(case.shape)][column] = row.of_floor.median
    size = (2.0 + 0.5 * len(columns), 1.6 + 0.2 * len(names))
    figure, axis = pyplot.subplots(figsize=size, layout="constrained")
    image = axis.imshow(cells, cmap="RdYlGn", vmin=0, vmax=1, aspect="auto")
    for line, column in itertools.product(range(len(names)), range(len(columns))):
        if cells[line][column] == cells[line][column]:
            text = f"{cells[line][column]:.2f}".removeprefix("0")
            axis.text(column, line, text, ha="center", va="center", fontsize=6)
    titles = [f"{OPERATIONS[o]} {layout} {d}, {t}" for d, layout, o, t in columns]
    axis.set_xticks(range(len(columns)), titles, rotation=90, fontsize=7)
    axis.set_yticks(range(len(names)), names, fontsize=7)
    axis.set_title("Share of the floor's speed (operation, layout, dtype, threads)", fontsize=9)
    figure.colorbar(image, extend="max")
    _save_pixels(figure, path)


def growth(curves: list[Curve], path: Path) -> None:
    figure, panels = pyplot.subplots(1, len(AXES), figsize=(11, 4), sharey=True,
                                     layout="constrained")  # fmt: skip
    for name, axis in zip(AXES, panels, strict=True):
        _growth_panel(axis, [curve for curve in curves if curve.axis == name])
        axis.set(xscale="log", yscale="log", xlabel="bytes of a tensor")
        axis.minorticks_off()
        axis.set_title(f"{name} grows, the others are 16", fontsize=10)
    panels[0].set_ylabel("microseconds")
    panels[0].legend(fontsize=7)
    _save(figure, path)


def _growth_panel(axis: Axes, curves: list[Curve]) -> None:
    for curve in curves:
        label = "floor" if curve.layout == "any" else curve.layout.upper()
        axis.plot(
            curve.sizes,
            [ns / 1e3 for ns in curve.times],
            LINES[curve.layout],
            color=COLORS[curve.operation],
            linewidth=1,
            label=f"{OPERATION_TITLES[curve.operation]}, {label}",
        )
