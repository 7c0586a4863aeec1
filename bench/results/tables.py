"""Shows measurements as tables: text, or Markdown."""

from __future__ import annotations

import pandas as pd
from results.measurements import FLOOR, KEYS, OPERATIONS, OURS, Measurements
from tabulate import tabulate


def us(nanoseconds: float) -> str:
    if pd.isna(nanoseconds):
        return "-"
    return f"{nanoseconds / 1e3:.2f}" if nanoseconds < 1e5 else f"{nanoseconds / 1e3:.0f}"


def ratio(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2f}"


def table(frame: pd.DataFrame, markdown: bool) -> str:
    """Names to the left, figures to the right; titles of operations, two digits of fractions."""
    shown = frame.assign(**{name: frame[name].map(ratio) for name in frame.select_dtypes("float")})
    if "operation" in frame:
        shown["operation"] = [OPERATIONS[name].title for name in frame["operation"]]
    alignment = ["left"] + ["right"] * (len(frame.columns) - 1)
    form = "pipe" if markdown else "plain"
    rows = shown.astype(str).to_numpy().tolist()
    return tabulate(rows, list(shown), form, disable_numparse=True, colalign=alignment) + "\n"


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
        lines[f"{peer} us"] = cases[peer, "median"].map(us)
        lines[f"x {peer}"] = cases[f"x {peer}", "median"].map(ratio)
        lines[f"x {peer}, range"] = spread(cases, f"x {peer}")
    blocks = []
    for (dtype, operation, layout, threads), group in lines.groupby(KEYS[:-1], observed=True):
        mark = "### " if markdown else ""
        title = f"{OPERATIONS[operation].title}, {layout.upper()}, {dtype}, threads: {threads}"
        measured = group.loc[:, ~group.isin(["-", "-..-"]).all()]  # not each peer has each case
        blocks.append(f"{mark}{title}\n\n{table(measured, markdown)}")
    return "\n".join(blocks)


def _summary(results: Measurements, markdown: bool) -> str:
    frame = results.summary().reset_index()
    order = ["operation", "dtype", "layout", "threads"]
    return table(frame[order + list(frame.columns.drop(order))], markdown)


def _calls(results: Measurements, markdown: bool) -> str:
    frame = pd.DataFrame(results.calls).agg(["median", "min", "max"]).T.round().astype(int)
    frame["min..max"] = frame["min"].astype(str) + ".." + frame["max"].astype(str)
    frame = frame.rename_axis("call").reset_index().rename(columns={"median": "ns"})
    return table(frame[["call", "ns", "min..max"]], markdown)


def growth(grown: pd.DataFrame) -> str:
    """For each size of a tensor the time, and the share of the floor's speed."""
    frame = grown.sort_values(["operation", "layout"], kind="stable")
    frame["us"] = frame[OURS].map(us)
    frame["of floor"] = frame[FLOOR] / frame[OURS]
    frame["KB"] = frame["bytes"] // 1024
    return table(frame[["operation", "layout", "axis", "KB", "us", "of floor"]], markdown=False)


def sections(results: Measurements, markdown: bool) -> dict[str, str]:
    """The tables of what was measured, by their titles."""
    halves = results.halves()
    found = {"Every shape": groups(results, markdown)}
    if len(halves.columns):
        found["Time of the two halves over the whole"] = table(halves.reset_index(), markdown)
    found["Geometric means over the shapes"] = _summary(results, markdown)
    if results.calls:
        found["Small calls on (20, 100), default threads"] = _calls(results, markdown)
    return found
