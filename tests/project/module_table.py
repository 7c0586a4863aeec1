"""Holds docs/module.md to its word: every member of the reference has a row, and every row's tests
exist.

python module_table.py MODULE_MD TEST_PROGRAM...
"""

import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

# The members on the page of oneflow.nn.BatchNorm1d.
MEMBERS = re.findall(
    r"\w+",
    """
__init__ __call__ __delattr__ __dir__ __eq__ __format__ __ge__ __getattr__ __getattribute__ __gt__
__hash__ __init_subclass__ __le__ __lt__ __ne__ __new__ __reduce__ __reduce_ex__ __repr__
__setattr__ __sizeof__ __str__ __subclasshook__ _apply _check_input_dim _get_name
_load_from_state_dict _named_members _save_to_state_dict _shallow_repr add_module apply buffers
children cpu cuda double eval extra_repr float forward half load_state_dict modules named_buffers
named_children named_modules named_parameters parameters register_buffer register_forward_hook
register_forward_pre_hook register_parameter reset_parameters reset_running_stats state_dict to
to_consistent to_global train zero_grad
""",
)


def rows(document: str) -> list[list[str]]:
    """The cells of the table that begins with "| Reference"."""
    table = document[document.index("| Reference |") :].split("\n\n")[0]
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def members_of(cell: str) -> list[str]:
    return [re.match(r"\w+", code)[0] for code in re.findall(r"`([^`]+)`", cell)]


def tests_of(cell: str) -> list[str]:
    """The patterns of a cell; ".Name" is of the suite that was named before it."""
    patterns: list[str] = []
    for code in re.findall(r"`([^`]+)`", cell):
        suite = patterns[-1].split(".")[0] if code.startswith(".") and patterns else ""
        patterns.append(suite + code)
    return patterns


def listed_tests(program: str) -> set[str]:
    """Every "Suite.Name", without the names of instantiations and parameters."""
    listing = subprocess.run(
        [program, "--gtest_list_tests"], check=True, capture_output=True, text=True
    ).stdout
    names: set[str] = set()
    suite = ""
    for line in listing.splitlines():
        word = line.split("#")[0].strip()
        if line.startswith(" "):
            names.add(suite + word.split("/")[0])
        elif word.endswith("."):
            suite = word.split("/")[-1]
    return names


def problems(document: str, names: set[str]) -> list[str]:
    found: list[str] = []
    described: list[str] = []
    for reference, _here, _difference, tests in rows(document):
        members = members_of(reference)
        described += members
        patterns = tests_of(tests)
        if not patterns:
            found.append(f"{reference}: no test is named")
        found += [
            f"{reference}: there is no test {pattern}"
            for pattern in patterns
            if not any(fnmatchcase(name, pattern) for name in names)
        ]
    found += [f"{name}: has no row" for name in MEMBERS if name not in described]
    found += [
        f"{name}: is not on the reference's page" for name in described if name not in MEMBERS
    ]
    return found


def main() -> int:
    document, *programs = sys.argv[1:]
    names = set[str]().union(*(listed_tests(program) for program in programs))
    found = problems(Path(document).read_text(encoding="utf-8"), names)
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
