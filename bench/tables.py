"""Shows measurements as tables: text, or Markdown."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable

from growth import Curve, floor_of
from measurements import OPERATION_TITLES, Measurements, Row, Spread, summaries

ROW_HEADER = ("shape", "us", "min..max", "GB/s", "floor us", "of floor", "min..max")


def us(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e3:.2f}" if nanoseconds < 1e5 else f"{nanoseconds / 1e3:.0f}"


def _range(low: str, high: str) -> str:
    return f"{low}..{high}"


def _cells(row: Row, peers: list[str]) -> list[str]:
    ratio = row.of_floor
    cells = [
        row.case.shape,
        us(row.time.median),
        _range(us(row.time.low), us(row.time.high)),
        f"{row.gb_per_s:.1f}",
        us(row.floor.median),
        f"{ratio.median:.2f}",
        _range(f"{ratio.low:.2f}", f"{ratio.high:.2f}"),
    ]
    for peer in peers:
        cells += _peer_cells(row.peers.get(peer), row.against.get(peer))
    return cells


def _peer_cells(time: Spread | None, ratio: Spread | None) -> list[str]:
    if time is None or ratio is None:
        return ["-", "-", "-"]
    return [
        us(time.median),
        f"{ratio.median:.2f}",
        _range(f"{ratio.low:.2f}", f"{ratio.high:.2f}"),
    ]


def table(header: Iterable[str], lines: list[list[str]], markdown: bool) -> str:
    cells = [list(header), *lines]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    if markdown:
        cells.insert(1, ["-" * (width - 1) + ":" for width in widths])
        cells[1][0] = "-" * widths[0]
    text = []
    for line in cells:
        padded = [line[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        text.append(f"| {' | '.join(padded)} |" if markdown else "  ".join(padded))
    return "\n".join(text) + "\n"


def _groups(results: Measurements) -> str:
    """One table for each operation, layout, dtype and thread count."""
    peers = results.peers()
    header = [*ROW_HEADER]
    for peer in peers:
        header += [f"{peer} us", f"x {peer}", "min..max"]
    blocks = []
    for key, group in itertools.groupby(
        results.rows(), key=lambda row: dataclasses.replace(row.case, shape="")
    ):
        title = f"{OPERATION_TITLES[key.operation]}, {key.layout.upper()}, {key.dtype}"
        lines = table(header, [_cells(row, peers) for row in group], markdown=False)
        blocks.append(f"{title}, threads: {key.threads}\n\n{lines}")
    return "\n".join(blocks)


def summary(results: Measurements, markdown: bool) -> str:
    peers = results.peers()
    header = ["operation", "dtype", "layout", "threads", "shapes", "of floor", "worst"]
    header += [f"x {peer}" for peer in peers]
    lines = []
    for item in summaries(results.rows()):
        line = [OPERATION_TITLES[item.operation], item.dtype, item.layout]
        line += [str(item.threads), str(item.shapes)]
        line += [f"{item.of_floor:.2f}", f"{item.worst_of_floor:.2f}"]
        line += [f"{item.against[peer]:.2f}" if peer in item.against else "-" for peer in peers]
        lines.append(line)
    return table(header, lines, markdown)


def calls(results: Measurements, markdown: bool) -> str:
    lines = []
    for name, times in results.calls.items():
        spread = Spread.of(times)
        lines.append(
            [name, f"{spread.median:.0f}", _range(f"{spread.low:.0f}", f"{spread.high:.0f}")]
        )
    return table(["call", "ns", "min..max"], lines, markdown)


def text(results: Measurements) -> str:
    return "\n".join(
        [
            _groups(results),
            "geometric means over the shapes (of floor: floor / ours; x peer: peer / ours)\n",
            summary(results, markdown=False),
            "small calls on (20, 100), default threads\n",
            calls(results, markdown=False),
        ]
    )


def growth_text(curves: list[Curve]) -> str:
    """Against each tensor size: the time, and the share of the floor's speed."""
    lines = []
    for curve in curves:
        floor = floor_of(curves, curve)
        if floor is None or curve.layout == "any":
            continue
        for size, ours, copying in zip(curve.sizes, curve.times, floor.times, strict=True):
            where = [f"{curve.operation} {curve.layout}", curve.axis, f"{size / 1024:.0f}"]
            lines.append([*where, us(ours), f"{copying / ours:.2f}"])
    return table(["growth", "axis", "KB", "us", "of floor"], lines, markdown=False)


def without_build_dir(words: list[str]) -> list[str]:
    """The user's arguments: not the one that ./dev adds."""
    joined = re.sub(r"--build-dir[= ]\S+ ?", "", " ".join(words))
    return joined.split()
