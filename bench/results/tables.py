"""Shows measurements as tables: text, or Markdown."""

from __future__ import annotations

import pandas as pd
from results.measurements import FLOOR, KEYS, OPERATIONS, OURS, Measurements
from tabulate import tabulate


def us(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e3:.2f}" if nanoseconds < 1e5 else f"{nanoseconds / 1e3:.0f}"


def ratio(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2f}"


def table(frame: pd.DataFrame, markdown: bool) -> str:
    """The columns as they are; a first column of names, and figures to the right."""
    alignment = ["left"] + ["right"] * (len(frame.columns) - 1)
    form = "pipe" if markdown else "plain"
    rows = frame.astype(str).to_numpy().tolist()
    return tabulate(rows, list(frame), form, disable_numparse=True, colalign=alignment) + "\n"


def spread(cases: pd.DataFrame, figure: str) -> pd.Series:
    """The range over the rounds, as text."""
    show = us if figure == OURS else ratio
    return cases[figure, "min"].map(show) + ".." + cases[figure, "max"].map(show)


def groups(results: Measurements, markdown: bool) -> str:
    """One table for each dtype, operation, layout and thread count."""
    cases = results.cases()
    lines = pd.DataFrame({"shape": cases.index.get_level_values("shape")}, index=cases.index)
    lines["us"] = cases[OURS, "median"].map(us)
    lines["min..max"] = spread(cases, OURS)
    lines["GB/s"] = cases["GB/s", "median"].map("{:.1f}".format)
    lines["floor us"] = cases[FLOOR, "median"].map(us)
    lines["of floor"] = cases["of floor", "median"].map(ratio)
    lines["min..max "] = spread(cases, "of floor")
    for peer in results.peers():
        lines[f"{peer} us"] = cases[peer, "median"].map(lambda ns: us(ns) if ns > 0 else "-")
        lines[f"x {peer}"] = cases[f"x {peer}", "median"].map(ratio)
        lines[f"x {peer}, range"] = spread(cases, f"x {peer}")
    blocks = []
    for key, group in lines.groupby(KEYS[:-1], observed=True, sort=True):
        dtype, operation, layout, threads = key
        title = f"{OPERATIONS[operation].title}, {layout.upper()}, {dtype}, threads: {threads}"
        measured = group.loc[:, ~group.isin(["-", "-..-"]).all()]  # not each peer has each case
        mark = "### " if markdown else ""
        blocks.append(f"{mark}{title}\n\n{table(measured, markdown)}")
    return "\n".join(blocks)


def summary(results: Measurements, markdown: bool) -> str:
    frame = results.summary()
    for name in frame.columns.drop("shapes"):
        frame[name] = frame[name].map(ratio)
    frame = frame.reset_index()
    frame["operation"] = frame["operation"].map(lambda name: OPERATIONS[name].title)
    order = ["operation", "dtype", "layout", "threads"]
    return table(frame[order + list(frame.columns.drop(order))], markdown)


def calls(results: Measurements, markdown: bool) -> str:
    frame = pd.DataFrame(results.calls).agg(["median", "min", "max"]).T.round().astype(int)
    frame["min..max"] = frame["min"].astype(str) + ".." + frame["max"].astype(str)
    frame = frame.rename_axis("call").reset_index().rename(columns={"median": "ns"})
    return table(frame[["call", "ns", "min..max"]], markdown)


def halves(results: Measurements, markdown: bool) -> str:
    frame = results.halves().map(ratio)
    return table(frame.reset_index(), markdown) if len(frame.columns) else ""


def against_float32(results: Measurements, markdown: bool) -> str:
    frame = results.against_float32()
    if not len(frame):
        return ""
    frame["operation"] = frame["operation"].map(lambda name: OPERATIONS[name].title)
    frame[["x float32", "least"]] = frame[["x float32", "least"]].map(ratio)
    return table(frame, markdown)


def growth(grown: pd.DataFrame) -> str:
    """For each size of a tensor the time, and the share of the floor's speed."""
    frame = grown.sort_values(["operation", "layout"], kind="stable")
    frame["us"] = frame[OURS].map(us)
    frame["of floor"] = (frame[FLOOR] / frame[OURS]).map(ratio)
    frame["KB"] = frame["bytes"] // 1024
    return table(frame[["operation", "layout", "axis", "KB", "us", "of floor"]], markdown=False)


def text(results: Measurements) -> str:
    parts = [
        groups(results, markdown=False),
        "geometric means over the shapes (of floor: floor / ours; x peer: peer / ours)\n",
        summary(results, markdown=False),
    ]
    if both := halves(results, markdown=False):
        parts += ["time of the two halves over the whole\n", both]
    if results.calls:
        parts += ["small calls on (20, 100), default threads\n", calls(results, markdown=False)]
    return "\n".join(parts)
