"""However a process ends, and whatever it has queued on a device: it ends well. PoCL is given an
empty folder to keep its kernels in, so that its threads compile at the end, and then the same."""

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SKIPPED = 77
TIMEOUT = 300
COMPUTED = "computed\n"
REFUSED = "the process is ending, and with it the drivers of its devices\n"
WAYS = {  # and the end of the output
    "probe": "",
    "return": "",
    "exit": "",
    "quick_exit": "",
    "_Exit": "",
    "thread_exits": "",
    "thread_computes": "",
    "destructor_before_driver": COMPUTED,
    "destructor_after_driver": REFUSED,
}


def ends(program: Path, way: str) -> list[str]:
    """What is wrong, on the first and on the second run."""
    wrong = []
    with tempfile.TemporaryDirectory() as cache:
        for run in ("first", "second"):
            ran = subprocess.run(
                [program, way],
                env=os.environ | {"POCL_CACHE_DIR": cache},
                text=True,
                capture_output=True,
                timeout=TIMEOUT,
            )
            if ran.returncode == SKIPPED:
                raise SystemExit(SKIPPED)
            if ran.returncode != 0 or not ran.stdout.endswith(WAYS[way]) or ran.stderr:
                wrong.append(f"{way}, {run} run: {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True)
    options = parser.parse_args()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [
            text
            for found in pool.map(lambda way: ends(options.program, way), WAYS)
            for text in found
        ]
    print("".join(wrong))
    print(f"{len(WAYS)} ways to end, each twice, {len(wrong)} of them wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
