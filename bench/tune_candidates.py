"""What the tuner compiles: one kernel with several choices of its schedule's constants."""

from __future__ import annotations

import hashlib
import itertools
import random
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

COMPILE_SECONDS = 60  # a generator that takes longer has met a schedule that explodes
DEVICES = ("cuda", "opencl")  # with schedules of their own, which have none of these constants
FUNCTION = "candidate"  # as bench/tune_driver.cpp looks for it

# Constants by name; none given: the schedule's own.
Settings = dict[str, int]


@dataclass(frozen=True)
class Kernel:
    """One line of the build's halnorm_recipes.tsv."""

    operation: str
    layout: str
    dtype: str
    target: str
    halide_target: str
    parameters: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.operation}_{self.layout}_{self.dtype}_{self.target}"


def kernels_of(build: Path) -> list[Kernel]:
    """The fastest CPU target's kernels, which are the ones that run here."""
    best: dict[tuple[str, str, str], Kernel] = {}
    for line in (build / "generated/halnorm_recipes.tsv").read_text().splitlines():
        *words, parameters = line.split("\t")
        kernel = Kernel(*words, tuple(parameters.split()))
        if kernel.target not in DEVICES:
            best.setdefault((kernel.operation, kernel.layout, kernel.dtype), kernel)
    return list(best.values())


def name_of(settings: Settings) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(settings.items())) or "default"


def choices(space: dict[str, list[int]], most: int, seed: int = 1) -> list[Settings]:
    """The defaults, each single change, and then combinations, up to `most` in all."""
    single = [{name: value} for name, values in space.items() for value in values]
    combined: list[Settings] = []
    for chosen in itertools.product(*([None, *values] for values in space.values())):
        settings = {
            name: value for name, value in zip(space, chosen, strict=True) if value is not None
        }
        if len(settings) > 1:
            combined.append(settings)
    random.Random(seed).shuffle(combined)
    return [{}, *single, *combined][:most]


@dataclass(frozen=True)
class Candidate:
    settings: tuple[tuple[str, int], ...]
    library: Path

    @property
    def name(self) -> str:
        return name_of(dict(self.settings))


class Compiler:
    """Compiles candidates with the build's generators, once for each state of them."""

    def __init__(self, build: Path, folder: Path, kernel: Kernel) -> None:
        self.generator = build / "generators/halnorm_generators"
        self.fingerprint = hashlib.sha256(self.generator.read_bytes()).hexdigest()[:16]
        self.folder = folder / self.fingerprint / kernel.name
        self.kernel = kernel
        cache = (build / "CMakeCache.txt").read_text()
        found = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", cache, re.MULTILINE)
        self.linker = found.group(1) if found else "c++"
        found = re.search(r"^CMAKE_OBJCOPY:\w+=(.*)$", cache, re.MULTILINE)
        self.objcopy = found.group(1) if found else "objcopy"
        self.symbols = build / "generated/private_runtime/symbols.map"

    def compile(self, settings: Settings) -> Candidate | None:
        """None if it does not compile, or not in time."""
        name = name_of(settings).replace(" ", ",")
        words = [f"{key}={value}" for key, value in settings.items()]
        library = self.folder / f"{name}.so"
        if self.compile_with(name, words) is not None:
            return None
        return Candidate(tuple(sorted(settings.items())), library)

    def compile_with(self, name: str, words: list[str]) -> str | None:
        """Makes <name>.so with these words to the generator; why not, if it does not compile."""
        library = self.folder / f"{name}.so"
        if library.exists():
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        target = f"target={self.kernel.halide_target}-no_runtime"
        generate = [
            str(self.generator), "-g", self.kernel.operation, "-f", FUNCTION, "-n", name,
            "-o", str(self.folder), "-e", "object", target,
            *self.kernel.parameters, *words,
        ]  # fmt: skip
        unfinished = library.with_suffix(".unfinished")
        object_file = str(self.folder / f"{name}.o")
        rename = [self.objcopy, f"--redefine-syms={self.symbols}", object_file]
        link = [self.linker, "-shared", "-o", str(unfinished), object_file]
        try:
            for command in (generate, rename, link):
                subprocess.run(command, check=True, capture_output=True, timeout=COMPILE_SECONDS)
        except subprocess.TimeoutExpired:
            return f"not done in {COMPILE_SECONDS} s"
        except subprocess.CalledProcessError as error:
            return error.stderr.decode(errors="replace").strip().splitlines()[-1]
        unfinished.rename(library)
        return None

    def compile_all(self, wanted: list[Settings], workers: int) -> list[Candidate]:
        """Those that compile, without the ones whose code equals an earlier one's."""
        with ThreadPoolExecutor(workers) as pool:
            compiled = list(pool.map(self.compile, wanted))
        if not compiled or compiled[0] is None:
            raise SystemExit(f"{self.kernel.name} does not compile with its own constants")
        different: dict[str, Candidate] = {}
        for candidate in compiled:
            if candidate is not None:
                code = candidate.library.with_suffix(".o").read_bytes()
                different.setdefault(hashlib.sha256(code).hexdigest(), candidate)
        return list(different.values())
