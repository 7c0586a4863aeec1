"""Runs a program of several ranks, one of which is killed: the others have to end with a message.

python killed_rank.py MPIRUN... -n RANKS PROGRAM WHEN
"""

import re
import subprocess
import sys

# The program's own bound is 2 s; a shared machine may take longer to notice.
LONGEST_S = 20.0


def main() -> int:
    command = sys.argv[1:]
    ranks = int(command[command.index("-n") + 1])
    result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    lines = re.findall(r"survivor (\d+) after ([\d.]+) s: (.*)", result.stdout)
    print(result.stdout, result.stderr)
    survivors = {int(rank) for rank, _seconds, _text in lines}
    if survivors != set(range(ranks)) - {1}:
        print(f"got messages of the ranks {sorted(survivors)}, wanted all but 1")
        return 1
    for rank, seconds, text in lines:
        named = re.search(rf"BatchNorm1d\.\w+: all_gather .* rank {rank} of {ranks}", text)
        if float(seconds) > LONGEST_S or not named:
            print(f"got rank {rank} after {seconds} s with {text!r}, wanted rank and operation")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
