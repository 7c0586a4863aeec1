"""float16 and bfloat16 against our own float32, where memory decides: half the bytes."""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace

import tables
from measurements import (
    DTYPE_BYTES,
    OPERATION_TITLES,
    OPERATIONS,
    OURS,
    Case,
    Measurements,
    Shape,
    Spread,
    geometric_mean,
)

BEYOND_CACHE = 128e6  # bytes of a float32 tensor
WIDE = "f32"
Ratios = dict[Case, dict[Case, Spread]]


def beyond_cache(shapes: list[Shape]) -> list[Shape]:
    return [shape for shape in shapes if shape.tensor_bytes(WIDE) >= BEYOND_CACHE]


def with_every_dtype(arguments: argparse.Namespace) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(arguments), "dtypes": list(DTYPE_BYTES)})


def _ratios(results: Measurements) -> Ratios:
    """float32's time over the narrow one's, round by round; by operation, dtype and threads."""
    groups: Ratios = defaultdict(dict)
    ours = results.times[OURS]
    for case, times in ours.items():
        wide_case = replace(case, dtype=WIDE)
        if case != wide_case and wide_case in ours:
            pairs = zip(ours[wide_case], times, strict=True)
            ratio = Spread.of(wide / narrow for wide, narrow in pairs)
            groups[replace(case, layout="", shape="")][case] = ratio
    return groups


def table(results: Measurements, markdown: bool) -> str:
    def position(key: Case) -> tuple[int, str, int]:
        return OPERATIONS.index(key.operation), key.dtype, key.threads

    lines = []
    groups = _ratios(results)
    for key in sorted(groups, key=position):
        group = groups[key]
        medians = {case: ratio.median for case, ratio in group.items()}
        least = min(medians, key=lambda case: medians[case])
        lines.append(
            [
                OPERATION_TITLES[key.operation],
                key.dtype,
                str(key.threads),
                str(len(medians)),
                f"{geometric_mean(medians.values()):.2f}",
                f"{medians[least]:.2f}",
                f"{least.layout.upper()} {least.shape}",
            ]
        )
    header = ["operation", "dtype", "threads", "figures", "x float32", "least", "on"]
    return tables.table(header, lines, markdown)
