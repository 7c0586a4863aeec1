"""Holds docs/guarantees.md to its word: every test that it names is there.

python guarantees.py GUARANTEES_MD TESTS_FOLDER
"""

import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path


def tests_of(folder: Path) -> set[str]:
    """Every "Suite.Name" of the sources."""
    found: set[str] = set()
    for source in folder.rglob("*_test.cpp"):
        text = source.read_text(encoding="utf-8")
        found |= {
            f"{suite}.{name}"
            for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s+(\w+)\)", text, re.MULTILINE)
        }
    return found


def problems(document: str, names: set[str]) -> list[str]:
    found: list[str] = []
    for line in document.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 2 or cells[0] in ("promise", "") or set(cells[0]) == {"-"}:
            continue
        patterns = re.findall(r"`([^`]+)`", cells[1])
        if not patterns:
            found.append(f"{cells[0]}: no test is named")
        found += [
            f"{cells[0]}: there is no test {pattern}"
            for pattern in patterns
            if re.fullmatch(r"[A-Z]\w*\.[\w*]+", pattern)
            and not any(fnmatchcase(name, pattern) for name in names)
        ]
    return found


def main() -> int:
    document, folder = sys.argv[1:]
    found = problems(Path(document).read_text(encoding="utf-8"), tests_of(Path(folder)))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
