"""Draws measurements as bars: the share of the floor's speed, ours beside the peers'."""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from measurements import LAYOUTS, OPERATION_TITLES, OURS, Measurements, Row

PANEL_WIDTH = 4.6  # inches
BAR_HEIGHT = 0.28


def draw(results: Measurements, path: Path) -> None:
    """One panel for each layout and operation, with all threads."""
    rows = results.rows()
    threads = max(row.case.threads for row in rows)
    panels = [
        [row for row in rows if row.case.threads == threads and _key(row) == key]
        for key in itertools.product(LAYOUTS, OPERATION_TITLES)
    ]
    panels = [panel for panel in panels if panel]
    columns = min(len(OPERATION_TITLES), len(panels))
    lines = -(-len(panels) // columns)
    height = 0.9 + BAR_HEIGHT * max(len(panel) for panel in panels)
    # The same measurements make the same file.
    mpl.rcParams["svg.hashsalt"] = OURS
    figure, axes = pyplot.subplots(
        lines,
        columns,
        figsize=(PANEL_WIDTH * columns, height * lines),
        squeeze=False,
        layout="constrained",
    )
    for axis, panel in itertools.zip_longest(axes.flat, panels):
        if panel is None:
            axis.remove()
        else:
            _bars(axis, panel, results.peers())
    axes.flat[0].legend(fontsize=8)
    figure.suptitle(f"Share of the floor's speed, threads: {threads} (1 = only moving the memory)")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _key(row: Row) -> tuple[str, str]:
    return row.case.layout, row.case.operation


def _bars(axis: Axes, panel: list[Row], peers: list[str]) -> None:
    names = [OURS, *peers]
    thickness = 0.8 / len(names)
    for index, name in enumerate(names):
        places = [place + (index + 0.5) * thickness - 0.4 for place in range(len(panel))]
        axis.barh(places, [_share(row, name) for row in panel], thickness, label=name)
    axis.axvline(1.0, color="black", linewidth=0.8)
    axis.set_yticks(range(len(panel)), [row.case.shape for row in panel], fontsize=8)
    axis.invert_yaxis()
    layout, operation = _key(panel[0])
    axis.set_title(f"{OPERATION_TITLES[operation]}, {layout.upper()}", fontsize=10)


def _share(row: Row, name: str) -> float:
    if name == OURS:
        return row.of_floor.median
    return row.floor.median / row.peers[name].median if name in row.peers else 0.0
