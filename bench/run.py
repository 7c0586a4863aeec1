"""Runs the benchmark programs in turn, for several rounds, and compares them.

Within a round, each shape is measured by our program (kernels and floor) and then by each peer, so
that what is compared was measured seconds apart; the rounds are minutes apart, so that their spread
shows how steady the machine is.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import report
from measurements import OPERATIONS, OURS, Measurements, Shape

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = {OURS: "halnorm_bench", "onednn": "halnorm_bench_onednn"}
CALL_PROGRAM = "halnorm_bench_call"
BUFFERS = 3  # tensors of the shape's size that a program holds
BUSY_LOAD = 0.5  # runnable threads of others, beside which several threads cannot be measured


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="./dev bench")
    parser.add_argument("--build-dir", type=Path, default=ROOT / "build/release")
    parser.add_argument("--quick", action="store_true", help="eleven shapes, shorter measurements")
    parser.add_argument("--filter", default="", help="regex on operation/layout/shape")
    parser.add_argument("--threads", help="thread counts, like 1,4; default: 1 and one per core")
    parser.add_argument("--rounds", type=int, help="default: 3, with --quick 2")
    parser.add_argument("--min-time", type=float, help="seconds per measurement and round")
    parser.add_argument("--memory-limit", type=float, default=4.0, help="GB; skips shapes above")
    parser.add_argument("--json", type=Path, help="default: bench/results.json in the build")
    parser.add_argument("--report", action="store_true", help="also writes docs/benchmarks/")
    arguments = parser.parse_args()
    if arguments.rounds is None:
        arguments.rounds = 2 if arguments.quick else 3
    if arguments.min_time is None:
        arguments.min_time = 0.015 if arguments.quick else 0.03
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if arguments.json is None:
        arguments.json = arguments.build_dir / "bench/results.json"
    return arguments


def run_program(path: Path, options: list[str]) -> str:
    """The program's standard output; ends the benchmark if the program failed."""
    done = subprocess.run([path, *options], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{path.name} {' '.join(options)}\nfailed ({done.returncode}): {done.stderr}")
    return done.stdout


def measure(path: Path, options: list[str], min_time: float) -> dict[str, object]:
    """One run of a Google Benchmark program."""
    output = run_program(
        path, [*options, f"--benchmark_min_time={min_time}", "--benchmark_format=json"]
    )
    result: dict[str, object] = json.loads(output)
    return result


def read_shapes(program: Path) -> list[Shape]:
    shapes = []
    for line in run_program(program, ["--shapes"]).splitlines():
        name, n, c, length, rank, kind, reason = line.split("\t")
        shapes.append(Shape(name, int(n), int(c), int(length), int(rank), kind == "quick", reason))
    return shapes


def select(shapes: list[Shape], arguments: argparse.Namespace) -> dict[Shape, str]:
    """The shapes to measure, each with the pattern of the benchmarks to run on it."""
    wanted = re.compile(arguments.filter)
    selected = {}
    for shape in shapes:
        if arguments.quick and not shape.quick:
            continue
        cases = [
            f"{operation}/(any|{layout})"
            for operation in OPERATIONS
            for layout in shape.layouts
            if wanted.search(f"{operation}/{layout}/{shape.name}")
        ]
        if not cases:
            continue
        if BUFFERS * shape.tensor_bytes > arguments.memory_limit * 1e9:
            print(f"skipped {shape.name}: above --memory-limit {arguments.memory_limit} GB")
            continue
        selected[shape] = f"^({'|'.join(cases)})/"
    return selected


def take_in(results: Measurements, output: dict[str, object]) -> None:
    context, benchmarks = output["context"], output["benchmarks"]
    assert isinstance(context, dict)
    assert isinstance(benchmarks, list)
    results.context.update(context)
    for entry in benchmarks:
        results.add(entry["name"], entry["best_ns"], entry.get("label", ""))


def warn_if_busy() -> None:
    load = os.getloadavg()[0]
    if load > BUSY_LOAD:
        print(f"warning: the load is {load:.1f} before the start; figures with several threads")
        print("are worth little on a busy machine, those of peers that spin least of all")


def run_rounds(
    programs: dict[str, Path], selected: dict[Shape, str], arguments: argparse.Namespace
) -> Measurements:
    results = Measurements(list(selected))
    started = time.monotonic()
    threads = [f"--threads={arguments.threads}"] if arguments.threads else []
    for turn in range(1, arguments.rounds + 1):
        for count, (shape, pattern) in enumerate(selected.items(), 1):
            where = f"round {turn}/{arguments.rounds}, shape {count}/{len(selected)}"
            print(f"[{time.monotonic() - started:4.0f} s] {where}: {shape.name}", flush=True)
            options = [f"--shape={shape.name}", f"--benchmark_filter={pattern}", *threads]
            for program in programs.values():
                take_in(results, measure(program, options, arguments.min_time))
        measure_calls(results, arguments)
    print(f"[{time.monotonic() - started:4.0f} s] done\n")
    return results


def measure_calls(results: Measurements, arguments: argparse.Namespace) -> None:
    output = measure(arguments.build_dir / "bench" / CALL_PROGRAM, [], arguments.min_time)
    benchmarks = output["benchmarks"]
    assert isinstance(benchmarks, list)
    for entry in benchmarks:
        name = entry["name"].removeprefix("call/").removesuffix("/manual_time")
        results.calls[name].append(entry["best_ns"])


def write_json(path: Path, results: Measurements) -> None:
    rows = [dataclasses.asdict(row) for row in results.rows()]
    # Google Benchmark records where it ran; that is nobody's business.
    private = {"host_name", "executable"}
    context = {key: value for key, value in results.context.items() if key not in private}
    document = {"context": context, "rows": rows, "calls_ns": results.calls}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written: {path}")


def main() -> None:
    arguments = parse_arguments()
    programs = {name: arguments.build_dir / "bench" / file for name, file in PROGRAMS.items()}
    if not programs[OURS].exists():
        sys.exit(f"not built: {programs[OURS]}")
    for name in [name for name, path in programs.items() if not path.exists()]:
        print(f"no {name}: it was not found when the project was configured")
        del programs[name]
    selected = select(read_shapes(programs[OURS]), arguments)
    if not selected:
        sys.exit("no shape is left to measure")
    warn_if_busy()
    results = run_rounds(programs, selected, arguments)
    print(report.text(results))
    write_json(arguments.json, results)
    if arguments.report:
        command = " ".join(["./dev bench", *report.without_build_dir(sys.argv[1:])])
        for path in report.write(results, ROOT, command):
            print(f"written: {path}")


if __name__ == "__main__":
    main()
