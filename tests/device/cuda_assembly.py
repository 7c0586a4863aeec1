"""Assembles the PTX of every CUDA kernel for the GPUs that it is meant for; none may spill, within
the registers that Halide's runtime allows. So it does for kernels without shuffles (warp_shuffle),
which are not built into the library."""

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
SKIPPED = 77
REGISTERS_ALLOWED = 64  # by Halide's runtime, when it compiles
NO_SHUFFLE = "warp_shuffle=false"
SPILL = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")


def find_ptxas() -> str | None:
    """The CUDA toolkit's, or that of the Python package nvidia-cuda-nvcc."""
    places = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/local/cuda/bin"]
    places += [
        str(p.parent) for p in Path(sys.prefix).glob("lib/*/site-packages/nvidia/*/bin/ptxas")
    ]
    return shutil.which("ptxas", path=os.pathsep.join(places))


def sums_rows(recipe: list[str]) -> bool:
    """Training forward or backward in NCL."""
    operation = re.sub("(_with_running_stats|_accumulate)?(_single_pass)?$", "", recipe[0])
    return operation in ("batch_norm_train", "batch_norm_backward") and recipe[1] == "ncl"


def without_shuffles(recipes: list[list[str]]) -> list[list[str]]:
    """Where the sums of a warp meet otherwise."""
    return [[*recipe[:-1], f"{recipe[-1]} {NO_SHUFFLE}"] for recipe in recipes if sums_rows(recipe)]


def device_code(generator: Path, recipe: list[str], folder: Path) -> Path:
    operation, layout, dtype, _, target, words = recipe
    name = "_".join([operation, layout, dtype, *(["apart"] if NO_SHUFFLE in words else [])])
    command = [str(generator), "-g", operation, "-n", name, "-f", name, "-o", str(folder)]
    command += ["-e", "device_code", f"target={target}-no_runtime", *words.split()]
    subprocess.run(command, check=True, capture_output=True)
    return folder / f"{name}.device_code"


def assemble(ptxas: str, recipe: list[str], code: Path, architecture: str) -> tuple[int, int, str]:
    """Kernels, the most registers that one has, and what is wrong."""
    command = [ptxas, f"-arch={architecture}", f"-maxrregcount={REGISTERS_ALLOWED}", "-v"]
    command += [str(code), "-o", os.devnull]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        return 0, 0, f"{code.stem} for {architecture}: {run.stderr.strip()}"
    spills = [
        found.group(0) for found in SPILL.finditer(run.stderr) if found.groups() != ("0", "0")
    ]
    registers = [int(found.group(1)) for found in REGISTERS.finditer(run.stderr)]
    wrong = f"{code.stem} for {architecture}: {spills[0]}" if spills else ""
    if sums_rows(recipe) and (NO_SHUFFLE in recipe[-1]) == ("shfl.sync" in code.read_text()):
        wrong = f"{code.stem}: shuffles where there should be none, or none where there should be"
    return len(registers), max(registers, default=0), wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--recipes", type=Path, required=True)
    options = parser.parse_args()
    ptxas = find_ptxas()
    if ptxas is None:
        print("skipped: there is no ptxas here; it comes with the CUDA toolkit")
        return SKIPPED
    with options.recipes.open() as file:
        recipes = [row for row in csv.reader(file, delimiter="\t") if row and row[3] == "cuda"]
    recipes += without_shuffles(recipes)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        make = [pool.submit(device_code, options.generator, r, Path(folder)) for r in recipes]
        jobs = [
            pool.submit(assemble, ptxas, recipe, code.result(), architecture)
            for recipe, code in zip(recipes, make, strict=True)
            for architecture in ARCHITECTURES
        ]
        results = [job.result() for job in jobs]
    for wrong in filter(None, (result[2] for result in results)):
        print(wrong)
    kernels = sum(result[0] for result in results)
    registers = max(result[1] for result in results)
    print(f"{len(recipes)} pipelines for {', '.join(ARCHITECTURES)}: {kernels} kernels assembled, ")
    print(f"at most {registers} registers a thread")
    return 1 if any(result[2] for result in results) or kernels == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
