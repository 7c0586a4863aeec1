"""Checks the rooms of runtime/: each includes its own headers and those of rooms below it.

CMake already gives the compiler no path to a room above. This test says it in words, and covers
what the compiler cannot see: the public headers, which all rooms find in one folder.
"""

import re
import sys
from pathlib import Path

# The rooms, and those that each may use; public headers by the room that implements them.
USES: dict[str, set[str]] = {"base": set()}
USES["kernels"] = USES["base"] | {"base"}
USES["device"] = USES["kernels"] | {"kernels"}
USES["tensor"] = USES["device"] | {"device"}
USES["plan"] = USES["device"] | {"device"}
USES["functional"] = USES["tensor"] | USES["plan"] | {"tensor", "plan"}
USES["distributed"] = USES["functional"] | {"functional"}
USES["io"] = USES["distributed"] | {"distributed"}
USES["nn"] = USES["functional"] | USES["io"] | {"functional", "io"}
USES["c_api"] = USES["functional"] | {"functional"}

ROOM_OF_PUBLIC = {
    "device.h": "base",
    "dtype.h": "base",
    "error.h": "base",
    "shape.h": "base",
    "distributed.h": "base",
    "kernels.h": "kernels",
    "threads.h": "kernels",
    "memory.h": "kernels",
    "cuda.h": "device",
    "call_report.h": "plan",
    "tensor.h": "tensor",
    "explain.h": "functional",
    "functional.h": "functional",
    "functional_arguments.h": "functional",
    "functional_fused.h": "functional",
    "mpi.h": "distributed",
    "nccl.h": "distributed",
    "serialize.h": "io",
    "grad_mode.h": "nn",
    "halnorm_c.h": "c_api",
    "version.h": "base",
}

INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
MOST_README_LINES = 15


def room_of(header: str) -> str | None:
    """The room of an included header; None for one that CMake generates."""
    if header.endswith(".inc"):
        return None
    folder, _, name = header.partition("/")
    if folder == "halnorm":
        return "nn" if name.startswith("nn/") else ROOM_OF_PUBLIC.get(name, "no room")
    return folder if name else "no room"


def faults_of(room: str, source: Path) -> list[str]:
    faults = []
    for header in INCLUDE.findall(source.read_text()):
        other = room_of(header)
        if other is None or other == room or other in USES[room]:
            continue
        allowed = ", ".join(sorted(USES[room])) or "no room"
        faults.append(
            f"{source.parent.name}/{source.name} includes {header} ({other}); "
            f"{room} may use {allowed}"
        )
    return faults


def main() -> int:
    runtime = Path(sys.argv[1])
    faults = [f"{path.name} is in no room" for path in runtime.glob("*.[ch]*")]
    for room in USES:
        sources = sorted((runtime / room).rglob("*.[ch]*"))
        if not sources:
            faults.append(f"room {room} is empty")
        for source in sources:
            faults += faults_of(room, source)
        readme = runtime / room / "README.md"
        if not readme.is_file():
            faults.append(f"{room} has no README.md")
        elif len(readme.read_text().splitlines()) > MOST_README_LINES:
            faults.append(f"{room}/README.md has more than {MOST_README_LINES} lines")
    print("\n".join(faults) or f"{len(USES)} rooms, no include upwards")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
