"""PyTorch's batch normalization on a GPU, by its own kernels, on the same shapes: lines like those
of bench/device/device_bench.cpp. cuDNN, which it may use instead, is measured without it."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional

EPS = 1e-5
RUNS = 7
SECONDS_PER_RUN = 0.01
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def seconds_of(call: Callable[[], object], count: int, device: str) -> float:
    wait(device)
    start = time.perf_counter()
    for _ in range(count):
        call()
    wait(device)
    return time.perf_counter() - start


def times(call: Callable[[], object], device: str) -> list[float]:
    seconds_of(call, 3, device)
    count = min(max(int(SECONDS_PER_RUN / (seconds_of(call, 3, device) / 3)), 1), 10000)
    return sorted(seconds_of(call, count, device) / count * 1e6 for _ in range(RUNS))


def batch(shape: tuple[int, ...], layout: str, dtype: torch.dtype, device: str) -> torch.Tensor:
    x = torch.randn(shape, dtype=torch.float32, device=device).to(dtype)
    if len(shape) == 2:
        return x
    if layout == "ncl":
        return x
    # Three axes have no channels-last format of their own.
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def calls(x: torch.Tensor) -> dict[str, Callable[[], object]]:
    channels = x.shape[1]
    weight, bias = (torch.randn(channels, device=x.device) for _ in range(2))
    mean, var = torch.zeros(channels, device=x.device), torch.ones(channels, device=x.device)
    given = x.detach().requires_grad_(True)
    scale = weight.detach().requires_grad_(True)
    shift = bias.detach().requires_grad_(True)
    y = functional.batch_norm(given, None, None, scale, shift, True, 0.1, EPS)
    dy = torch.randn_like(y)
    inputs = (given, scale, shift)
    return {
        "train": lambda: functional.batch_norm(x, None, None, weight, bias, True, 0.1, EPS),
        "infer": lambda: functional.batch_norm(x, mean, var, weight, bias, False, 0.1, EPS),
        "backward": lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    options = parser.parse_args()
    for line in sys.stdin:
        case = json.loads(line)
        if case["operation"] != "train":
            continue
        shape = tuple(int(extent) for extent in case["shape"].split("x"))
        x = batch(shape, case["layout"], DTYPES[case["dtype"]], options.device)
        with torch.backends.cudnn.flags(enabled=False):
            for operation, call in calls(x).items():
                all_times = times(call, options.device)
                row = {key: case[key] for key in ("shape", "layout", "dtype", "bytes")}
                row |= {"peer": "torch", "operation": operation}
                row |= {"us": statistics.median(all_times)}
                row |= {"least": all_times[0], "most": all_times[-1]}
                print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
