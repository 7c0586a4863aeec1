"""Candidates of the tuner: one kernel, compiled with other constants of its schedule."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from results.programs import ROOT, cached

COMPILE_SECONDS = 60  # a generator that takes longer has met a schedule that explodes
DEVICES = ("cuda", "opencl")  # their schedules have none of these constants
FUNCTION = "candidate"  # as driver.cpp looks for it


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
        words = (self.operation, self.layout, self.dtype, self.target)
        return "_".join(word for word in words if word)


def kernels_of(build: Path) -> list[Kernel]:
    """The fastest CPU target's kernels, which are the ones that run here."""
    best: dict[tuple[str, str, str], Kernel] = {}
    for line in (build / "generated/halnorm_recipes.tsv").read_text().splitlines():
        *words, parameters = line.split("\t")
        kernel = Kernel(*words, tuple(parameters.split()))
        if kernel.target not in DEVICES:
            best.setdefault((kernel.operation, kernel.layout, kernel.dtype), kernel)
    return list(best.values())


@dataclass(frozen=True)
class Candidate:
    name: str  # its words to the generator, or "default"
    library: Path
    code: str  # a hash: candidates of the same code are the same

    @property
    def words(self) -> str:
        return self.name if "=" in self.name else ""


class CompileError(Exception):
    """A generator that fails, or that takes too long."""


class Compiler:
    """Compiles candidates with the build's generators, once for each state of them."""

    def __init__(self, build: Path, folder: Path, kernel: Kernel) -> None:
        self.generator = build / "generators/halnorm_generators"
        self.fingerprint = hashlib.sha256(self.generator.read_bytes()).hexdigest()[:16]
        self.folder = folder / self.fingerprint / kernel.name
        self.kernel = kernel
        self.linker = cached(build, "CMAKE_CXX_COMPILER") or "c++"
        self.cmake = cached(build, "CMAKE_COMMAND") or "cmake"
        self.objcopy = cached(build, "CMAKE_OBJCOPY") or "objcopy"
        self.symbols = build / "generated/private_runtime/symbols.map"
        self.plugins = Path(cached(build, "HalideHelpers_DIR").partition("/cmake/")[0])

    def compile(self, words: list[str]) -> Candidate:
        """With these words to the generator."""
        name = " ".join(words) or "default"
        library = self.folder / f"{name.replace(' ', ',')}.so"
        if not library.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                for command in self._commands(library, words):
                    subprocess.run(
                        command, check=True, capture_output=True, timeout=COMPILE_SECONDS
                    )
            except subprocess.TimeoutExpired as error:
                raise CompileError(f"not done in {COMPILE_SECONDS} s") from error
            except subprocess.CalledProcessError as error:
                message = error.stderr.decode(errors="replace").strip().splitlines()[-1]
                raise CompileError(message) from error
            library.with_suffix(".unfinished").rename(library)
        code = hashlib.sha256(library.with_suffix(".o").read_bytes()).hexdigest()
        return Candidate(name, library, code)

    def default_again(self) -> Candidate:
        """The default as a second library, to be compared with itself."""
        library = self.folder / "default_again.so"
        shutil.copy(self.folder / "default.so", library)
        return Candidate("the default again", library, "")

    def _commands(self, library: Path, words: list[str]) -> list[list[str]]:
        """As cmake/add_kernel.cmake compiles a kernel, and then a shared object."""
        operation, base = self.kernel.operation, str(library.with_suffix(""))
        nontemporal = re.search("(?<!moments)(?<!reduce)_nontemporal$", operation)
        # Halide's autoschedulers are plugins of its generators.
        used = [word.partition("=")[2] for word in words if word.startswith("autoscheduler=")]
        plugins = [str(self.plugins / f"libautoschedule_{name.lower()}.so") for name in used]
        commands = [[
            str(self.generator), "-g", operation, "-f", FUNCTION, "-n", library.stem,
            "-o", str(self.folder), "-e", "assembly" if nontemporal else "object",
            *(["-p", ",".join(plugins)] if plugins else []),
            f"target={self.kernel.halide_target}-no_runtime", *self.kernel.parameters, *words,
        ]]  # fmt: skip
        if nontemporal:
            rewrite = [f"-Dfrom={base}.s", f"-Dto={base}.nontemporal.s"]
            commands.append([self.cmake, *rewrite, "-P", str(ROOT / "cmake/nontemporal.cmake")])
            commands.append([self.linker, "-c", f"{base}.nontemporal.s", "-o", f"{base}.o"])
        commands.append([self.objcopy, f"--redefine-syms={self.symbols}", f"{base}.o"])
        commands.append([self.linker, "-shared", "-o", f"{base}.unfinished", f"{base}.o"])
        return commands


class Thresholds:
    """Stands for a compiler: thresholds are read at run time."""

    kernel = Kernel("thresholds", "", "", "", "", ())

    def __init__(self, driver: Path) -> None:
        self.fingerprint = hashlib.sha256(driver.read_bytes()).hexdigest()[:16]

    def compile(self, words: list[str]) -> Candidate:
        name = " ".join(words) or "default"
        return Candidate(name, Path(), name)

    def default_again(self) -> Candidate:
        return Candidate("the default again", Path(), "")
