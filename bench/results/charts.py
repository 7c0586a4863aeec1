"""Draws measurements: roofline, bars against the peers, a heat map over the shapes, growth."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from PIL import Image
from scipy.stats import gmean

mpl.use("svg")
from matplotlib import pyplot
from matplotlib.figure import Figure
from results.growth import AXES
from results.measurements import DTYPE_BYTES, FLOOR, OPERATIONS, OURS, Measurements

COLORS = dict(zip(OPERATIONS, mpl.color_sequences["tab10"], strict=True))
MARKERS = {"ncl": "o", "nlc": "s"}
LINES = {"ncl": "-", "nlc": "--"}
SHIFT = {"ncl": 1 / 1.04, "nlc": 1.04}  # moves the layouts apart, whose intensity is equal


def save(figure: Figure, path: Path) -> None:
    # The same measurements make the same file; text stays text, which is smaller.
    with mpl.rc_context({"svg.hashsalt": OURS, "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _medians(results: Measurements) -> pd.DataFrame:
    """A row for each case with its keys as columns."""
    return results.cases().xs("median", axis=1, level=1).reset_index()


def _all_threads(results: Measurements) -> tuple[pd.DataFrame, int]:
    rows = _medians(results)
    threads = rows["threads"].max()
    return rows[rows["threads"] == threads], threads


def roofline(results: Measurements, ceilings: pd.DataFrame, path: Path) -> None:
    """Over the additions and multiplications per byte that an operation has to move."""
    rows, threads = _all_threads(results)
    figure, axis = pyplot.subplots(figsize=(7.5, 4.5), layout="constrained")
    for (operation, layout), group in rows.groupby(["operation", "layout"], observed=True):
        kind = OPERATIONS[operation]
        intensity = kind.flops / kind.tensors / group["dtype"].astype(str).map(DTYPE_BYTES)
        label = f"{kind.title}, {layout.upper()}"
        style = {"marker": MARKERS[layout], "color": COLORS[operation], "alpha": 0.6, "s": 14}
        axis.scatter(intensity * SHIFT[layout], group["GB/s"], label=label, **style)
    for place, _, speed in ceilings[ceilings["threads"] == threads].itertuples(index=False):
        axis.axhline(speed, color="black", linewidth=0.8)
        where = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
        axis.annotate(f"copy in {place}: {speed:.0f} GB/s", (1, speed), fontsize=8, **where)
    axis.set(xscale="log", yscale="log", xlabel="operations per byte", ylabel="GB/s")
    figure.legend(fontsize=7, loc="outside right upper")
    title = f"Each shape's speed under what copying reaches, threads: {threads}"
    axis.set_title(title, fontsize=10)
    save(figure, path)


def peers(results: Measurements, path: Path) -> None:
    """Geometric means over the shapes, with the slowest and the fastest shape."""
    rows, threads = _all_threads(results)
    names = [f"x {peer}" for peer in results.peers()]
    groups = rows.groupby(["layout", "operation", "dtype"], observed=True)[names]
    means = groups.agg(lambda ratios: gmean(ratios, nan_policy="omit"))
    height = 1.2 + 0.35 * len(means) * len(names)
    figure, axis = pyplot.subplots(figsize=(7.5, height), layout="constrained")
    errors = [[means[name] - groups.min()[name], groups.max()[name] - means[name]]
              for name in names]  # fmt: skip
    errors = np.nan_to_num(np.maximum(errors, 0))
    means.columns = results.peers()
    means.plot.barh(ax=axis, width=0.8, xerr=errors, error_kw={"linewidth": 0.8})
    axis.axvline(1.0, color="black", linewidth=0.8)
    titles = [f"{OPERATIONS[o].title}, {layout.upper()}, {d}" for layout, o, d in means.index]
    axis.set_yticks(range(len(means)), titles, fontsize=8)
    axis.invert_yaxis()
    label = "times as fast as the peer: mean over the shapes, and range"
    axis.set(xscale="log", xlabel=label, ylabel=None)
    axis.legend(fontsize=8)
    axis.set_title(f"Against the peers, threads: {threads}", fontsize=10)
    save(figure, path)


def heat_map(results: Measurements, path: Path) -> None:
    """The share of the floor's speed of each shape. Few colours make a small file."""
    columns = ["dtype", "layout", "operation", "threads"]
    cells = (
        _medians(results)
        .pivot(index="shape", columns=columns, values="of floor")
        .sort_index(axis=1)
    )
    size = (2.0 + 0.5 * len(cells.columns), 1.6 + 0.2 * len(cells))
    figure, axis = pyplot.subplots(figsize=size, layout="constrained")
    image = axis.imshow(cells, cmap="RdYlGn", vmin=0, vmax=1, aspect="auto")
    for (line, column), value in np.ndenumerate(cells.to_numpy()):
        if not np.isnan(value):
            text = f"{value:.2f}".removeprefix("0")
            axis.text(column, line, text, ha="center", va="center", fontsize=6)
    titles = [f"{operation} {layout} {d}, {t}" for d, layout, operation, t in cells.columns]
    axis.set_xticks(range(len(titles)), titles, rotation=90, fontsize=7)
    axis.set_yticks(range(len(cells)), list(cells.index), fontsize=7)
    axis.set_title("Share of the floor's speed (operation, layout, dtype, threads)", fontsize=9)
    figure.colorbar(image, extend="max")
    pixels = io.BytesIO()
    figure.savefig(pixels, format="png", dpi=110)
    pyplot.close(figure)
    with Image.open(pixels) as picture:
        picture.convert("RGB").quantize(64).save(path, optimize=True)


def growth(grown: pd.DataFrame, path: Path) -> None:
    figure, panels = pyplot.subplots(
        1, len(AXES), figsize=(11, 4), sharey=True, layout="constrained"
    )
    for name, axis in zip(AXES, panels, strict=True):
        own = grown[grown["axis"] == name]
        for (operation, layout), curve in own.groupby(["operation", "layout"], observed=True):
            title = OPERATIONS[operation].title
            style = {"color": COLORS[operation], "linewidth": 1}
            line = {"label": f"{title}, {layout.upper()}", "linestyle": LINES[layout]}
            axis.plot(curve["bytes"], curve[OURS] / 1e3, **style, **line)
            if layout == "nlc":  # the floor is one for both
                line = {"label": f"{title}, floor", "linestyle": ":"}
                axis.plot(curve["bytes"], curve[FLOOR] / 1e3, **style, **line)
        axis.set(xscale="log", yscale="log", xlabel="bytes of a tensor")
        axis.minorticks_off()
        axis.set_title(f"{name} grows, the others are 16", fontsize=10)
    panels[0].set_ylabel("microseconds")
    panels[0].legend(fontsize=7)
    save(figure, path)
