"""Writes the report of this machine's CPU: a page in Markdown, with plots."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass
from pathlib import Path

import charts
import narrow
import tables
from growth import Ceiling, Curve
from measurements import LAYOUTS, OPERATION_TITLES, Measurements, Row

ARCHITECTURES = {"x86_64": "x86", "AMD64": "x86", "aarch64": "arm", "arm64": "arm"}
VERSIONS = {"onednn_version": "oneDNN", "torch_version": "PyTorch", "oneflow_version": "OneFlow"}


@dataclass(frozen=True)
class Report:
    results: Measurements
    command: str
    ceilings: list[Ceiling]
    growth: list[Curve]
    every_dtype: Measurements  # on shapes beyond the caches


def _cpu_facts() -> dict[str, str]:
    """The first entry of each name in /proc/cpuinfo."""
    facts: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            facts.setdefault(name.strip(), value.strip())
    except OSError:
        pass
    return facts


def _cpu_model() -> str:
    return _cpu_facts().get("model name") or platform.processor() or platform.machine()


def cpu_design() -> str:
    """A short name of the CPU's design; virtual machines often hide the model's name."""
    facts = _cpu_facts()
    vendor, family = facts.get("vendor_id", ""), facts.get("cpu family", "")
    model = int(facts.get("model", "0"))
    if vendor == "AuthenticAMD" and family == "25":
        return "zen4" if 0x10 <= model < 0x20 or model >= 0x60 else "zen3"
    if vendor == "AuthenticAMD" and family == "26":
        return "zen5"
    if vendor == "GenuineIntel":
        return "xeon" if "Xeon" in _cpu_model() else f"intel-{family}-{model}"
    return platform.machine()


def _caches(results: Measurements) -> str:
    """As Google Benchmark found them."""
    caches = results.context.get("caches")
    assert isinstance(caches, list)
    return ", ".join(
        f"L{cache['level']} {cache['type'].lower()} {cache['size'] // 1024} KB" for cache in caches
    )


def _machine(report: Report) -> str:
    context = report.results.context
    facts = {
        "Command": f"`{report.command}`",
        "Date": str(context["date"])[:10],
        "CPU": f"{_cpu_model()} ({cpu_design()}), {context['num_cpus']} cores",
        "Caches": _caches(report.results),
        "halnorm": str(context["halnorm_version"]),
        "Halide": importlib.metadata.version("halide"),
        "Compiler": str(context["compiler"]),
    }
    facts |= {name: str(context[key]) for key, name in VERSIONS.items() if key in context}
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def _ceilings(ceilings: list[Ceiling]) -> str:
    lines = [[c.place, str(c.threads), f"{c.gb_per_s:.0f}"] for c in ceilings]
    return tables.table(["copy in", "threads", "GB/s"], lines, markdown=True)


def _line(row: Row, single: Row | None) -> list[str]:
    line = [row.case.shape, row.case.layout, row.case.dtype]
    line += (
        [tables.us(single.time.median), f"{single.of_floor.median:.2f}"] if single else ["-"] * 2
    )
    line += [tables.us(row.time.median), f"{row.gb_per_s:.1f}"]
    share = row.of_floor
    line += [f"{share.median:.2f}", f"{share.low:.2f}..{share.high:.2f}"]
    best = row.best_peer
    line += [f"{best.median:.2f}", f"{best.low:.2f}..{best.high:.2f}"] if best else ["-", "-"]
    return line


def _every_shape(results: Measurements) -> str:
    """A table for each operation, a line for each shape and layout: one thread, and all."""
    rows = results.rows()
    threads = max(row.case.threads for row in rows)
    header = ["shape", "layout", "dtype", "us, 1 thread", "of floor"]
    header += [f"us, {threads} threads", "GB/s", "of floor", "min..max", "x best peer", "min..max"]
    singles = {
        (r.case.operation, r.case.layout, r.case.dtype, r.case.shape): r
        for r in rows
        if r.case.threads == 1
    }
    blocks = []
    for operation, title in OPERATION_TITLES.items():
        lines = [
            _line(row, singles.get((operation, layout, row.case.dtype, row.case.shape)))
            for layout in LAYOUTS
            for row in rows
            if (row.case.operation, row.case.layout, row.case.threads)
            == (operation, layout, threads)
        ]
        blocks.append(f"### {title}\n\n{tables.table(header, lines, markdown=True)}")
    return "\n".join(blocks)


def _draw(report: Report, folder: Path, name: str) -> dict[str, Path]:
    """The plots that there are data for, by their titles."""
    rows = report.results.rows()
    plots = {
        "Speed under what copying reaches": folder / f"{name}-roofline.svg",
        # Hundreds of cells and numbers: smaller as pixels.
        "Share of the floor's speed, by shape": folder / f"{name}-shapes.png",
    }
    charts.roofline(rows, report.ceilings, folder / f"{name}-roofline.svg")
    charts.heat_map(report.results, folder / f"{name}-shapes.png")
    if peers := report.results.peers():
        plots["Times as fast as the peers"] = folder / f"{name}-peers.svg"
        charts.peers(rows, peers, plots["Times as fast as the peers"])
    if report.growth:
        plots["Time against N, C and L"] = folder / f"{name}-growth.svg"
        charts.growth(report.growth, plots["Time against N, C and L"])
    return plots


def write(report: Report, root: Path) -> list[Path]:
    """Writes docs/benchmarks/<architecture>-<design>.md and the plots."""
    results = report.results
    machine = platform.machine()
    name = f"{ARCHITECTURES.get(machine, machine)}-{cpu_design()}"
    folder = root / "docs/benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    plots = _draw(report, folder, name)
    pictures = "\n".join(f"![{title}]({path.name})\n" for title, path in plots.items())
    shapes = [[shape.name, shape.reason] for shape in results.shapes]
    text = (
        f"# Benchmark, {name}\n\n"
        "Written by the command below; [README.md](README.md) says how it measures.\n"
        "`of floor` is floor / ours, `x peer` is peer / ours: above 1 we are faster.\n\n"
        f"{_machine(report)}\n{pictures}\n"
        f"## Geometric means over the shapes\n\n{tables.summary(results, markdown=True)}\n"
        f"## Small calls on (20, 100), default threads\n\n{tables.calls(results, markdown=True)}\n"
        "## Half as many bytes: our float32's time over float16's and bfloat16's\n\n"
        f"{narrow.table(report.every_dtype, markdown=True)}\n"
        f"## What copying reaches\n\n{_ceilings(report.ceilings)}\n"
        f"## Every shape\n\n{_every_shape(results)}\n"
        f"## The shapes\n\n{tables.table(['shape', 'why it is here'], shapes, markdown=True)}"
    )
    page = folder / f"{name}.md"
    page.write_text(text)
    return [page, *plots.values()]
