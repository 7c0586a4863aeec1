"""Runs a program of several ranks, one of which is lost: the others have to end with a message.

python killed_rank.py RANKS COMMAND...
"""

import re
import subprocess
import sys
import threading

# The program's own bound is 2 s; a shared machine may take longer to notice.
LONGEST_S = 20.0
SKIPPED = 77


def survivors_of(command: list[str], ranks: int) -> tuple[dict[int, tuple[float, str]], int]:
    """Time and message of each rank but 1, and the exit status."""
    found: dict[int, tuple[float, str]] = {}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        deadline = threading.Timer(50, process.kill)
        deadline.start()
        for line in process.stdout or ():
            print(line, end="")
            if match := re.search(r"survivor (\d+) after ([\d.]+) s: (.*)", line):
                found[int(match[1])] = float(match[2]), match[3]
            if len(found) == ranks - 1 and command[-1] == "cut":
                process.kill()  # mpirun waits for the host that is cut off
        deadline.cancel()
    return found, process.returncode


def main() -> int:
    ranks = int(sys.argv[1])
    found, code = survivors_of(sys.argv[2:], ranks)
    if not found and code == SKIPPED:
        return SKIPPED
    if found.keys() != set(range(ranks)) - {1}:
        print(f"got messages of the ranks {sorted(found)}, wanted all but 1")
        return 1
    for rank, (seconds, text) in found.items():
        named = re.search(rf"BatchNorm1d\.\w+: all_gather .* rank {rank} of {ranks}", text)
        if seconds > LONGEST_S or not named:
            print(f"got rank {rank} after {seconds} s with {text!r}, wanted rank and operation")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
