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
import sys
import time
from pathlib import Path

import growth
import narrow
import programs
import tables
from measurements import DTYPE_BYTES, LAYOUTS, OPERATIONS, Measurements, Shape
from programs import PEERS, ROOT, Program

BUFFERS = 3  # tensors of the shape's size that a program holds
BUSY_LOAD = 0.5  # runnable threads of others, beside which several threads cannot be measured


def _list_of(known: tuple[str, ...], text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"'{name}' is not one of {', '.join(known)}")
    return names


def dtype_list(text: str) -> list[str]:
    return _list_of(tuple(DTYPE_BYTES), text)


def peer_list(text: str) -> list[str]:
    return list(PEERS) if text == "all" else _list_of(PEERS, text)


def shape_of(text: str) -> Shape:
    """N,C or N,C,L."""
    words = text.split(",")
    if len(words) not in (2, 3) or not all(word.isdigit() and int(word) > 0 for word in words):
        raise argparse.ArgumentTypeError(f"'{text}' is not N,C or N,C,L")
    n, c, length = (int(word) for word in [*words, "1"][:3])
    return Shape("x".join(words), n, c, length, len(words), True, "asked for")


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """What ./dev bench understands with and without --compare."""
    parser.add_argument("--build-dir", type=Path, default=ROOT / "build/release")
    parser.add_argument("--quick", action="store_true", help="eleven shapes, shorter measurements")
    parser.add_argument("--filter", default="", help="regex on operation/layout/dtype/shape")
    parser.add_argument("--shape", type=shape_of, help="N,C or N,C,L: this shape instead of all")
    parser.add_argument("--layout", choices=LAYOUTS, help="of --shape: only this one")
    parser.add_argument(
        "--dtypes", "--dtype", type=dtype_list, default=["f32"], help="like f32,f16,bf16"
    )
    parser.add_argument("--threads", help="thread counts, like 1,4; default: 1 and one per core")
    parser.add_argument("--rounds", type=int, help="default: 3, with --quick 2; --compare: 6")
    parser.add_argument("--min-time", type=float, help="seconds per measurement and round")
    parser.add_argument("--memory-limit", type=float, default=4.0, help="GB; skips shapes above")


def fill_in_defaults(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if arguments.min_time is None:
        arguments.min_time = 0.015 if arguments.quick else 0.03
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="./dev bench")
    add_common_arguments(parser)
    parser.add_argument(
        "--peers", type=peer_list, default=["onednn"], help=f"of {','.join(PEERS)}; or all, or ''"
    )
    parser.add_argument("--growth", action="store_true", help="also time against N, C and L")
    parser.add_argument("--json", type=Path, help="default: bench/results.json in the build")
    parser.add_argument("--report", action="store_true", help="also writes docs/benchmarks/")
    arguments = parser.parse_args()
    if arguments.rounds is None:
        arguments.rounds = 2 if arguments.quick else 3
    fill_in_defaults(parser, arguments)
    if arguments.json is None:
        arguments.json = arguments.build_dir / "bench/results.json"
    return arguments


def select(shapes: list[Shape], arguments: argparse.Namespace) -> dict[Shape, str]:
    """The shapes to measure, each with the pattern of the benchmarks to run on it."""
    wanted = re.compile(arguments.filter)
    selected = {}
    for shape in [arguments.shape] if arguments.shape else shapes:
        if arguments.quick and not shape.quick:
            continue
        cases = [
            f"{operation}/(any|{layout})/({dtype}/)?{shape.name}"
            for operation in OPERATIONS
            for layout in shape.layouts
            if arguments.layout in (None, layout)
            for dtype in arguments.dtypes
            if wanted.search(f"{operation}/{layout}/{dtype}/{shape.name}")
        ]
        if not cases:
            continue
        most = BUFFERS * max(shape.tensor_bytes(dtype) for dtype in arguments.dtypes)
        if most > arguments.memory_limit * 1e9:
            print(f"skipped {shape.name}: above --memory-limit {arguments.memory_limit} GB")
            continue
        selected[shape] = f"^({'|'.join(cases)})/"
    return selected


def options_of(shape: Shape, pattern: str, arguments: argparse.Namespace) -> list[str]:
    options = [f"--shape={shape.name}", f"--benchmark_filter={pattern}"]
    if arguments.threads:
        options.append(f"--threads={arguments.threads}")
    if arguments.dtypes != ["f32"]:
        options.append(f"--dtypes={','.join(arguments.dtypes)}")
    return options


def take_in(results: Measurements, output: dict[str, object]) -> None:
    context, benchmarks = output.get("context", {}), output["benchmarks"]
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
    running: list[Program], selected: dict[Shape, str], arguments: argparse.Namespace
) -> Measurements:
    results = Measurements(list(selected))
    started = time.monotonic()
    for turn in range(1, arguments.rounds + 1):
        for count, (shape, pattern) in enumerate(selected.items(), 1):
            where = f"round {turn}/{arguments.rounds}, shape {count}/{len(selected)}"
            print(f"[{time.monotonic() - started:4.0f} s] {where}: {shape.name}", flush=True)
            options = options_of(shape, pattern, arguments)
            for program in running:
                take_in(results, program.measure(options, arguments.min_time))
    print(f"[{time.monotonic() - started:4.0f} s] done\n")
    return results


def measure_calls(results: Measurements, arguments: argparse.Namespace) -> None:
    program = programs.built(arguments.build_dir, "calls", "halnorm_bench_call")
    for _ in range(arguments.rounds):
        benchmarks = program.measure([], arguments.min_time)["benchmarks"]
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


def write_report(
    results: Measurements, arguments: argparse.Namespace, grown: list[growth.Curve]
) -> None:
    import page  # only here: it needs packages that the text does not

    program = programs.ours(arguments.build_dir)
    ceilings = growth.measure_ceilings(program, results, arguments)
    command = " ".join(["./dev bench", *tables.without_build_dir(sys.argv[1:])])
    every_dtype = narrow.with_every_dtype(arguments)
    large = select(narrow.beyond_cache(results.shapes), every_dtype)
    halved = run_rounds([program], large, every_dtype)
    for path in page.write(page.Report(results, command, ceilings, grown, halved), ROOT):
        print(f"written: {path}")


def main() -> None:
    arguments = parse_arguments()
    program = programs.ours(arguments.build_dir)
    if not program.found:
        sys.exit(f"not built: {program.command[0]}")
    running = [program, *programs.present_peers(arguments.build_dir, arguments.peers)]
    selected = select(program.shapes(), arguments)
    if not selected:
        sys.exit("no shape is left to measure")
    warn_if_busy()
    results = run_rounds(running, selected, arguments)
    measure_calls(results, arguments)
    print(tables.text(results))
    write_json(arguments.json, results)
    grown = growth.measure(program, arguments) if arguments.growth else []
    if grown:
        print(tables.growth_text(grown))
    if arguments.report:
        write_report(results, arguments, grown)


if __name__ == "__main__":
    main()
