"""Counts the kernels of each device pipeline: one whose operation ends in _small has just one, and
so is one launch."""

import argparse
import csv
import os
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cuda_assembly import device_code

# A function that is launched, in PTX and in OpenCL's C; the C has an empty one besides.
KERNELS = {
    "cuda": re.compile(r"\.visible \.entry"),
    "opencl": re.compile(r"__kernel void _kernel_"),
}


def launches(generator: Path, recipe: list[str], folder: Path) -> int:
    place = folder / recipe[3]
    place.mkdir(exist_ok=True)
    return len(KERNELS[recipe[3]].findall(device_code(generator, recipe, place).read_text()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--recipes", type=Path, required=True)
    options = parser.parse_args()
    with options.recipes.open() as file:
        rows = [row for row in csv.reader(file, delimiter="\t") if row and row[3] in KERNELS]
    recipes = [row for row in rows if row[0].endswith("_small")]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = list(
            pool.map(lambda recipe: launches(options.generator, recipe, Path(folder)), recipes)
        )
    for recipe, count in zip(recipes, counts, strict=True):
        if count != 1:
            print(f"{' '.join(recipe[:4])}: {count} kernels, wanted 1")
    print(f"{len(recipes)} pipelines for small calls: {sum(counts)} kernels")
    return 0 if recipes and all(count == 1 for count in counts) else 1


if __name__ == "__main__":
    sys.exit(main())
