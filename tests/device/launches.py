"""Which Funcs are kernels of their own in devices' pipelines with sums: the output alone if the
operation ends in _single_pass, so that a call is one launch, else the blocks' sums and the output.
A Func has a kernel for each alignment of its rows, of which a call launches one."""

import argparse
import csv
import os
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cuda_assembly import device_code

# A function that is launched, in PTX and in OpenCL's C, and the Func that it computes.
KERNELS = {
    "cuda": re.compile(r"\.visible \.entry _kernel_([a-z]+)"),
    "opencl": re.compile(r"__kernel void _kernel_([a-z]+)"),
}
OUTPUTS = {
    "batch_norm_train": "y",
    "batch_norm_train_with_running_stats": "y",
    "batch_norm_fused_train": "y",
    "batch_norm_fused_train_with_running_stats": "y",
    "batch_norm_backward": "dx",
    "batch_norm_backward_accumulate": "dx",
    "batch_norm_backward_infer": "dx",
}


def output_of(recipe: list[str]) -> str | None:
    return OUTPUTS.get(recipe[0].removesuffix("_single_pass"))


def launched(generator: Path, recipe: list[str], folder: Path) -> set[str]:
    place = folder / recipe[3]
    place.mkdir(exist_ok=True)
    return set(KERNELS[recipe[3]].findall(device_code(generator, recipe, place).read_text()))


def wanted(recipe: list[str]) -> set[str]:
    return {output_of(recipe) or ""} | (set() if recipe[0].endswith("_single_pass") else {"block"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--recipes", type=Path, required=True)
    options = parser.parse_args()
    with options.recipes.open() as file:
        rows = [row for row in csv.reader(file, delimiter="\t") if row and row[3] in KERNELS]
    recipes = [row for row in rows if output_of(row)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(
            pool.map(lambda recipe: launched(options.generator, recipe, Path(folder)), recipes)
        )
    wrong = 0
    for recipe, kernels in zip(recipes, found, strict=True):
        if kernels != wanted(recipe):
            wrong += 1
            print(f"{' '.join(recipe[:4])}: got {sorted(kernels)}, wanted {sorted(wanted(recipe))}")
    print(f"{len(recipes)} pipelines, {wrong} of other kernels")
    return 0 if recipes and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
