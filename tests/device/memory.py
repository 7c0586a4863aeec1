"""Runs OpenCL's kernels on Oclgrind, an interpreter that knows the bounds of every memory and
which accesses are ordered: none may be outside, and no two of different threads may race.

Calls whose output is their input are left out: between a load of x and a store to y lies a barrier
of the block's own memory alone. It orders them, since what was loaded is in that memory by then,
but Oclgrind does not know that."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

SKIPPED = 77
DTYPES = ("float32", "float64", "float16")  # bfloat16 has the accesses of float16
LAYOUTS = ("ncl", "nlc")  # (N, C) has the kernels of NLC
LEFT_OUT = ("*MayOverwrite*", "*OnEveryRun*")
REPORT = re.compile(r"data race|Invalid|OCLGRIND")
PASSED = re.compile(r"\[  PASSED  \] [1-9]\d* tests?\.")


def run(tests: Path, dtype: str, layout: str) -> tuple[int, str]:
    """How many tests passed, and what is wrong. The exit status says nothing: Oclgrind 21.10 may
    abort at the end of a process, when OpenCL's objects are released after its own."""
    wanted = f"*Device*ward.*/opencl_0_{dtype}_{layout}-{':'.join(LEFT_OUT)}"
    command = ["oclgrind", "--data-races", "--num-threads", "1", str(tests)]
    command.append(f"--gtest_filter={wanted}")
    few = os.environ | {"HALNORM_FEW_SHAPES": "1"}
    output = subprocess.run(command, env=few, text=True, capture_output=True)
    said = output.stderr + output.stdout
    passed = PASSED.search(output.stdout)
    good = passed and "FAILED" not in said and not REPORT.search(said)
    return output.stdout.count("[       OK ]"), "" if good else f"{dtype} {layout}:\n{said[:4000]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=Path, required=True)
    options = parser.parse_args()
    if shutil.which("oclgrind") is None:
        print("skipped: there is no oclgrind here; it is a package of Debian")
        return SKIPPED
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        cases = product(DTYPES, LAYOUTS)
        results = list(pool.map(lambda case: run(options.tests, *case), cases))
    for wrong in filter(None, (result[1] for result in results)):
        print(wrong)
    print(f"{sum(result[0] for result in results)} tests of {', '.join(DTYPES)}")
    return 1 if any(result[1] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
