"""Follows docs/adding_an_operation.md in a copy of the tree, and runs the program of the page.

python add_operation.py --source TREE --build BUILD_TREE --work SCRATCH --cmake CMAKE OPTION...

The copy is built without optimization, for one target and one dtype. Of the generators only the
new one is compiled: the objects of the others come from BUILD_TREE, whose sources are the same.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

PAGE = "docs/adding_an_operation.md"
FOLDERS = ("cmake", "generators", "include", "runtime")
BLOCK = re.compile(r"^`([^`\n]+)`[^\n]*:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
OBJECTS = "generators/CMakeFiles/halnorm_generators.dir"


def blocks_of(page: str) -> dict[str, str]:
    """The code of the page by the file that the line before it begins with."""
    return dict(BLOCK.findall(page))


def insert(file: Path, text: str, mark: str) -> None:
    """Puts the text before the last `mark`."""
    before, found, after = file.read_text().rpartition(mark)
    if not found:
        raise SystemExit(f"{file} has no '{mark}'")
    file.write_text(before + text + found + after)


def add_operation(tree: Path, blocks: dict[str, str]) -> Path:
    """Carries out the page's steps, and returns the program of the last one."""
    for name, code in blocks.items():
        file = tree / name
        if name == "cmake/kernels.cmake":
            insert(file, code, "list(APPEND HALNORM_GROUP_training ")
        elif name == "include/halnorm/functional.h":
            insert(file, code + "\n", "}  // namespace halnorm::HALNORM_ABI::functional")
        elif file.exists():
            raise SystemExit(f"{PAGE} replaces {name}")
        else:
            file.write_text(code)
        if name.startswith("runtime/functional/"):
            insert(tree / "runtime/CMakeLists.txt", f"    {file.name}\n", "    explain.cpp\n")
    return tree / "main.cpp"


def compile_or_take(build: Path, command: list[str]) -> int:
    """The compiler's launcher: takes a generator's object from the build tree if it is there."""
    output = command[command.index("-o") + 1] if "-o" in command else ""
    _, found, name = output.partition(OBJECTS + "/")
    known = build / OBJECTS / name
    if not found or not known.is_file():
        return subprocess.run(command, check=False).returncode
    shutil.copyfile(known, output)
    if "-MF" in command:
        Path(command[command.index("-MF") + 1]).write_text(f"{output}: {command[-1]}\n")
    return 0


def main() -> int:
    if sys.argv[1] == "compile":
        return compile_or_take(Path(sys.argv[2]), sys.argv[3:])
    parser = argparse.ArgumentParser()
    for name in ("source", "build", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--cmake", required=True)
    options, cmake_options = parser.parse_known_args()
    shutil.rmtree(options.work, ignore_errors=True)
    tree = options.work / "tree"
    tree.mkdir(parents=True)
    shutil.copy(options.source / "CMakeLists.txt", tree)
    for folder in FOLDERS:
        shutil.copytree(options.source / folder, tree / folder)
    program = add_operation(tree, blocks_of((options.source / PAGE).read_text()))

    launcher = ";".join([sys.executable, __file__, "compile", str(options.build)])
    out = options.work / "build"
    project = Path(__file__).parent / "operation"
    configure = [options.cmake, "-S", project, "-B", out, f"-DHALNORM={tree}"]
    configure += [f"-DPROGRAM={program}", f"-DCMAKE_CXX_COMPILER_LAUNCHER={launcher}"]
    subprocess.run([*configure, *cmake_options], check=True)
    subprocess.run([options.cmake, "--build", out, "--target", "added_operation"], check=True)
    return subprocess.run([out / "added_operation"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
