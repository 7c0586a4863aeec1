"""The file that a CPU model's tuned constants are kept in, and that the build includes."""

from __future__ import annotations

import re
from pathlib import Path

ENTRY = re.compile(r"^((?:# .*\n)*)set\(HALNORM_TUNED_(\w+) ([^)]*)\)\n", re.MULTILINE)
CPU_FIELDS = ("vendor_id", "cpu family", "model")


def cpu_facts() -> dict[str, str]:
    """The first core's lines of /proc/cpuinfo."""
    facts: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    return facts


def cpu_model() -> str:
    """As cmake/tuned.cmake names it."""
    facts = cpu_facts()
    return "-".join(facts[name] for name in CPU_FIELDS if name in facts).lower()


def read(path: Path) -> dict[str, tuple[str, str]]:
    """Each kernel's comment and constants."""
    if not path.exists():
        return {}
    return {name: (comment, words) for comment, name, words in ENTRY.findall(path.read_text())}


def merged(old: str, new: str) -> str:
    """The words name=value of both; a new value replaces an old one."""
    values = dict(word.split("=") for word in f"{old} {new}".split())
    return " ".join(f"{name}={value}" for name, value in sorted(values.items()))


def write(path: Path, entries: dict[str, tuple[str, str]]) -> None:
    head = f"# {cpu_facts().get('model name', 'unknown CPU')}; written by ./dev tune.\n"
    body = "".join(
        f"\n{comment}set(HALNORM_TUNED_{name} {words})\n"
        for name, (comment, words) in sorted(entries.items())
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + body)
