"""Writes the report of this machine's CPU: a page in Markdown, with charts."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from results import charts, tables
from results.measurements import Measurements
from tuning.file import cpu_facts

ARCHITECTURES = {"x86_64": "x86", "AMD64": "x86", "aarch64": "arm", "arm64": "arm"}
VERSIONS = {"onednn_version": "oneDNN", "torch_version": "PyTorch", "oneflow_version": "OneFlow"}
HEAD = """# Benchmark, {name}

Written by the command below; [README.md](README.md) says how it measures.
`of floor` is floor / ours, `x peer` is peer / ours: above 1 we are faster.

{machine}
{pictures}"""


@dataclass(frozen=True)
class Report:
    results: Measurements
    command: str
    ceilings: pd.DataFrame
    growth: pd.DataFrame | None
    every_dtype: Measurements  # on shapes beyond the caches


def cpu_design() -> str:
    """A short name of the CPU's design; virtual machines often hide the model's name."""
    facts = cpu_facts()
    vendor, family = facts.get("vendor_id", ""), facts.get("cpu family", "")
    model = int(facts.get("model", "0"))
    if vendor == "AuthenticAMD" and family == "25":
        return "zen4" if 0x10 <= model < 0x20 or model >= 0x60 else "zen3"
    if vendor == "AuthenticAMD" and family == "26":
        return "zen5"
    if vendor == "GenuineIntel":
        return "xeon" if "Xeon" in facts.get("model name", "") else f"intel-{family}-{model}"
    return platform.machine()


def _machine(report: Report) -> str:
    context = report.results.context
    cpu = cpu_facts().get("model name") or platform.processor() or platform.machine()
    caches = [
        f"L{cache['level']} {cache['type'].lower()} {cache['size'] // 1024} KB"
        for cache in context["caches"]
    ]
    facts = {
        "Command": f"`{report.command}`",
        "Date": str(context["date"])[:10],
        "CPU": f"{cpu} ({cpu_design()}), {context['num_cpus']} cores",
        "Caches": ", ".join(caches),
        "halnorm": context["halnorm_version"],
        "Halide": importlib.metadata.version("halide"),
        "Compiler": context["compiler"],
    }
    facts |= {name: context[key] for key, name in VERSIONS.items() if key in context}
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def _draw(report: Report, folder: Path, name: str) -> dict[str, Path]:
    """The plots that there are data for, by their titles."""
    results = report.results
    plots = {
        "Speed under what copying reaches": folder / f"{name}-roofline.svg",
        # This chart has hundreds of cells and numbers, so that pixels are smaller than vectors.
        "Share of the floor's speed, by shape": folder / f"{name}-shapes.png",
    }
    charts.roofline(results, report.ceilings, folder / f"{name}-roofline.svg")
    charts.heat_map(results, folder / f"{name}-shapes.png")
    if results.peers():
        plots["Times as fast as the peers"] = folder / f"{name}-peers.svg"
        charts.peers(results, folder / f"{name}-peers.svg")
    if report.growth is not None:
        plots["Time against N, C and L"] = folder / f"{name}-growth.svg"
        charts.growth(report.growth, folder / f"{name}-growth.svg")
    return plots


def write(report: Report, folder: Path) -> list[Path]:
    """Writes <architecture>-<design>.md and the plots into the folder."""
    machine = platform.machine()
    name = f"{ARCHITECTURES.get(machine, machine)}-{cpu_design()}"
    folder.mkdir(parents=True, exist_ok=True)
    plots = _draw(report, folder, name)
    pictures = "".join(f"![{title}]({path.name})\n\n" for title, path in plots.items())
    reasons = [(shape.name, shape.reason) for shape in report.results.shapes]
    found = tables.sections(report.results, markdown=True)
    extra = {
        "Half as many bytes: our float32's time over float16's and bfloat16's":
            report.every_dtype.against_float32(),
        "What copying reaches": report.ceilings.round().astype({"GB/s": int}),
        "The shapes": pd.DataFrame(reasons, columns=["shape", "why it is here"]),
    }  # fmt: skip
    found |= {title: tables.table(frame, markdown=True) for title, frame in extra.items()}
    found["Every shape"] = found.pop("Every shape")  # the longest one at the end
    body = "\n".join(f"## {title}\n\n{table}" for title, table in found.items())
    page = folder / f"{name}.md"
    page.write_text(HEAD.format(name=name, machine=_machine(report), pictures=pictures) + body)
    return [page, *plots.values()]
