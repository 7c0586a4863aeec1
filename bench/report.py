"""Shows measurements: as text, and as a Markdown page with a chart."""

from __future__ import annotations

import importlib.metadata
import itertools
import platform
import re
from collections.abc import Iterable
from pathlib import Path

from measurements import FLOOR, OPERATION_TITLES, Measurements, Row, Spread, summaries

ARCHITECTURES = {"x86_64": "x86", "AMD64": "x86", "aarch64": "arm", "arm64": "arm"}
ROW_HEADER = ("shape", "us", "min..max", "GB/s", "floor us", "of floor", "min..max")


def _us(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e3:.2f}" if nanoseconds < 1e5 else f"{nanoseconds / 1e3:.0f}"


def _range(low: str, high: str) -> str:
    return f"{low}..{high}"


def _cells(row: Row, peers: list[str]) -> list[str]:
    ratio = row.of_floor
    cells = [
        row.case.shape,
        _us(row.time.median),
        _range(_us(row.time.low), _us(row.time.high)),
        f"{row.gb_per_s:.1f}",
        _us(row.floor.median),
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
        _us(time.median),
        f"{ratio.median:.2f}",
        _range(f"{ratio.low:.2f}", f"{ratio.high:.2f}"),
    ]


def _table(header: Iterable[str], lines: list[list[str]], markdown: bool) -> str:
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


def _groups(results: Measurements, markdown: bool) -> str:
    """One table for each operation, layout and thread count."""
    peers = results.peers()
    header = [*ROW_HEADER]
    for peer in peers:
        header += [f"{peer} us", f"x {peer}", "min..max"]
    rows = results.rows()
    mark = "### " if markdown else ""
    blocks = []
    for key, group in itertools.groupby(
        rows, key=lambda row: (row.case.operation, row.case.layout, row.case.threads)
    ):
        title = f"{mark}{OPERATION_TITLES[key[0]]}, {key[1].upper()}, threads: {key[2]}\n"
        table = _table(header, [_cells(row, peers) for row in group], markdown)
        blocks.append(f"{title}\n{table}")
    return "\n".join(blocks)


def _summary(results: Measurements, markdown: bool) -> str:
    peers = results.peers()
    header = ["operation", "layout", "threads", "shapes", "of floor", "worst of floor"]
    header += [f"x {peer}" for peer in peers]
    lines = []
    for item in summaries(results.rows()):
        line = [OPERATION_TITLES[item.operation], item.layout, str(item.threads), str(item.shapes)]
        line += [f"{item.of_floor:.2f}", f"{item.worst_of_floor:.2f}"]
        line += [f"{item.against[peer]:.2f}" if peer in item.against else "-" for peer in peers]
        lines.append(line)
    return _table(header, lines, markdown)


def _calls(results: Measurements, markdown: bool) -> str:
    lines = []
    for name, times in results.calls.items():
        spread = Spread.of(times)
        lines.append(
            [name, f"{spread.median:.0f}", _range(f"{spread.low:.0f}", f"{spread.high:.0f}")]
        )
    return _table(["call", "ns", "min..max"], lines, markdown)


def text(results: Measurements) -> str:
    return "\n".join(
        [
            _groups(results, markdown=False),
            "geometric means over the shapes (of floor: floor / ours; x peer: peer / ours)\n",
            _summary(results, markdown=False),
            "small calls on (20, 100), default threads\n",
            _calls(results, markdown=False),
        ]
    )


def without_build_dir(words: list[str]) -> list[str]:
    """The user's arguments: not the one that ./dev adds."""
    joined = re.sub(r"--build-dir[= ]\S+ ?", "", " ".join(words))
    return joined.split()


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _caches(results: Measurements) -> str:
    """As Google Benchmark found them."""
    caches = results.context.get("caches")
    assert isinstance(caches, list)
    return ", ".join(
        f"L{cache['level']} {cache['type'].lower()} {cache['size'] // 1024} KB" for cache in caches
    )


def _machine(results: Measurements, command: str) -> str:
    context = results.context
    facts = {
        "Command": f"`{command}`",
        "Date": str(context["date"])[:10],
        "CPU": f"{_cpu_model()}, {context['num_cpus']} cores",
        "Caches": _caches(results),
        "halnorm": str(context["halnorm_version"]),
        "Halide": importlib.metadata.version("halide"),
        "Compiler": str(context["compiler"]),
    }
    if "onednn_version" in context:
        facts["oneDNN"] = f"{context['onednn_version']}, OpenMP"
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def write(results: Measurements, root: Path, command: str) -> list[Path]:
    """Writes docs/benchmarks/<architecture>.md and .svg."""
    machine = platform.machine()
    name = ARCHITECTURES.get(machine, machine)
    folder = root / "docs/benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    page, picture = folder / f"{name}.md", folder / f"{name}.svg"
    import chart  # only here: it needs matplotlib, which the text does not

    chart.draw(results, picture)
    shapes = [[shape.name, shape.reason] for shape in results.shapes]
    page.write_text(
        f"# Benchmark, {name}\n\n"
        "Float32. Written by the command below; [README.md](README.md) says how it measures.\n"
        f"`of floor` is {FLOOR} / ours, `x peer` is peer / ours: above 1 we are faster.\n\n"
        f"{_machine(results, command)}\n"
        f"![share of the floor's speed]({picture.name})\n\n"
        f"## Geometric means over the shapes\n\n{_summary(results, markdown=True)}\n"
        f"## Small calls on (20, 100), default threads\n\n{_calls(results, markdown=True)}\n"
        f"## Every shape\n\n{_groups(results, markdown=True)}\n"
        f"## The shapes\n\n{_shape_table(shapes)}"
    )
    return [page, picture]


def _shape_table(shapes: list[list[str]]) -> str:
    lines = ["| shape | why it is here |", "|---|---|"]
    lines += [f"| {name} | {reason} |" for name, reason in shapes]
    return "\n".join(lines) + "\n"
