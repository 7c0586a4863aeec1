"""Runs the benchmark programs in turn, for several rounds, and compares them.

Within a round, each shape is measured by our program (kernels and floor) and then by each peer, so
that compared figures are measured seconds apart; the rounds are minutes apart, so that their spread
shows how steady the machine is.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path

import pandas as pd
from compare import compare
from results import growth, page, programs, tables
from results.measurements import DTYPE_BYTES, LAYOUTS, OPERATIONS, Measurements, Shape, suite_shapes
from results.programs import PEERS, ROOT

BUFFERS = {"plain": 3, "split": 3, "fused": 5}  # tensors of the shape's size that a program holds
BUSY_LOAD = 0.5  # runnable threads of others, beside which several threads cannot be measured
BEYOND_CACHE = 128e6  # bytes of a float32 tensor


def list_of(*known: str) -> object:
    """An argument's type: some of the known words, separated by commas; all of them: all."""

    def parse(text: str) -> list[str]:
        names = list(known) if text == "all" else [name for name in text.split(",") if name]
        if unknown := ", ".join(set(names) - set(known)):
            raise argparse.ArgumentTypeError(f"'{unknown}' is not one of {', '.join(known)}")
        return names

    return parse


def shape_of(text: str) -> Shape:
    """N,C or N,C,L."""
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*){1,2}", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not N,C or N,C,L")
    return Shape(text.replace(",", "x"))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="./dev bench")
    add = parser.add_argument
    add("--build-dir", type=Path, default=ROOT / "build/release")
    add("--quick", action="store_true", help="eleven shapes, shorter measurements")
    add("--filter", default="", help="regex on operation/layout/dtype/shape")
    add("--shape", type=shape_of, help="N,C or N,C,L: this shape instead of all")
    add("--layout", choices=LAYOUTS, help="of --shape: only this one")
    add("--operations", type=list_of(*BUFFERS), default=["plain"],
        help=f"of {','.join(BUFFERS)}; or all")  # fmt: skip
    add("--dtypes", "--dtype", type=list_of(*DTYPE_BYTES), default=["f32"],
        help="like f32,f16,bf16")  # fmt: skip
    add("--threads", help="thread counts, like 1,4; default: 1 and one per core")
    add("--rounds", type=int, help="default: 3, with --quick 2, with --compare 6")
    add("--min-time", type=float, help="seconds per measurement and round")
    add("--memory-limit", type=float, default=4.0, help="GB; skips shapes above")
    add("--peers", type=list_of(*PEERS), default=["onednn"],
        help=f"of {','.join(PEERS)}; or all, or ''")  # fmt: skip
    add("--growth", action="store_true", help="also time against N, C and L")
    add("--json", type=Path, help="default: bench/results.json in the build")
    add("--report", nargs="?", type=Path, const=ROOT / "docs/benchmarks",
        help="also writes the page of this CPU into this folder")  # fmt: skip
    add("--compare", metavar="BASE",
        help="only compares this tree with a git revision, says which cases changed, and "
             "fails if one became slower")  # fmt: skip
    arguments = parser.parse_args()
    if arguments.rounds is None:
        arguments.rounds = 6 if arguments.compare else 2 if arguments.quick else 3
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if arguments.compare and (arguments.growth or arguments.json or arguments.report):
        parser.error("--compare has no --growth, --json or --report")
    arguments.min_time = arguments.min_time or (0.015 if arguments.quick else 0.03)
    return arguments


def select(shapes: list[Shape], arguments: argparse.Namespace) -> dict[Shape, str]:
    """The shapes to measure, each with the pattern of the benchmarks to run on it."""
    buffers = max(BUFFERS[group] for group in arguments.operations)
    selected = {}
    for shape in [arguments.shape] if arguments.shape else shapes:
        if arguments.quick and not shape.quick:
            continue
        cases = [
            f"{name}/(any|{layout})/({dtype}/)?{shape.name}"
            for name, operation in OPERATIONS.items()
            if operation.group in arguments.operations
            for layout in shape.layouts
            if arguments.layout in (None, layout)
            for dtype in arguments.dtypes
            if re.search(arguments.filter, f"{name}/{layout}/{dtype}/{shape.name}")
        ]
        most = buffers * max(shape.tensor_bytes(dtype) for dtype in arguments.dtypes)
        if cases and most > arguments.memory_limit * 1e9:
            print(f"skipped {shape.name}: above --memory-limit {arguments.memory_limit} GB")
        elif cases:
            selected[shape] = f"^({'|'.join(cases)})/"
    if not selected:
        sys.exit("no shape is left to measure")
    return selected


def warn_if_busy() -> None:
    load = os.getloadavg()[0]
    if load > BUSY_LOAD:
        print(f"warning: the load is {load:.1f} before the start; figures with several threads")
        print("are worth little on a busy machine, those of peers that spin least of all")


def measure_calls(results: Measurements, arguments: argparse.Namespace) -> None:
    program = programs.program_of(arguments.build_dir, "calls")
    for _ in range(arguments.rounds):
        output = program.measure(["--benchmark_filter=^call/"], arguments.min_time)
        for entry in output["benchmarks"]:
            name = entry["name"].removeprefix("call/").removesuffix("/manual_time")
            results.calls.setdefault(name, []).append(entry["best_ns"])


def write_json(path: Path, results: Measurements) -> None:
    # Google Benchmark records the host and the path of the program, which are private.
    private = {"host_name", "executable"}
    context = {key: value for key, value in results.context.items() if key not in private}
    samples = results.samples().to_dict("records")
    document = {"context": context, "samples": samples, "calls_ns": results.calls}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written: {path}")


def write_report(
    results: Measurements, arguments: argparse.Namespace, grown: pd.DataFrame | None
) -> None:
    program = programs.program_of(arguments.build_dir, programs.OURS)
    ceilings = growth.measure_ceilings(program, results, arguments)
    # The arguments of the user: not the one that ./dev adds.
    words = re.sub(r"--build-dir[= ]\S+ ?", "", " ".join(sys.argv[1:])).split()
    every_dtype = argparse.Namespace(**{**vars(arguments), "dtypes": list(DTYPE_BYTES)})
    large = [shape for shape in results.shapes if shape.tensor_bytes("f32") >= BEYOND_CACHE]
    selected = select(large, every_dtype) if large else {}
    narrow = programs.run_rounds([program], selected, every_dtype)
    report = page.Report(results, " ".join(["./dev bench", *words]), ceilings, grown, narrow)
    for path in page.write(report, arguments.report):
        print(f"written: {path}")


def main() -> None:
    arguments = parse_arguments()
    program = programs.program_of(arguments.build_dir, programs.OURS)
    if not program.found:
        sys.exit(f"not built: {program.command[0]}")
    selected = select(suite_shapes(), arguments)
    warn_if_busy()
    if arguments.compare:
        sys.exit(compare(arguments, selected))
    running = [program, *programs.present_peers(arguments.build_dir, arguments.peers)]
    results = programs.run_rounds(running, selected, arguments)
    measure_calls(results, arguments)
    print("of floor: floor / ours; x peer: peer / ours\n")
    for title, table in tables.sections(results, markdown=False).items():
        print(f"{title}\n\n{table}")
    write_json(arguments.json or arguments.build_dir / "bench/results.json", results)
    grown = growth.measure(program, arguments) if arguments.growth else None
    if grown is not None:
        print(tables.growth(grown))
    if arguments.report:
        write_report(results, arguments, grown)


if __name__ == "__main__":
    main()
