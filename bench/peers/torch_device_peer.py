"""PyTorch's batch normalization on a GPU, by its own kernels, on the cases that our program has
measured: runs like those of its JSON. cuDNN, which it may use instead, is measured without it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

import torch
from torch.nn import functional
from torch.utils.benchmark import Timer

EPS = 1e-5
RUNS = 7
SECONDS_PER_RUN = 0.01
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def times(call: Callable[[], object]) -> list[float]:
    """Nanoseconds a call in each run; the timer waits for the device before and after one."""
    timer = Timer("call()", globals={"call": call})
    timer.timeit(3)
    count = min(max(int(SECONDS_PER_RUN / timer.timeit(3).mean), 1), 10000)
    return [timer.timeit(count).mean * 1e9 for _ in range(RUNS)]


def batch(shape: str, layout: str, dtype: torch.dtype, device: str) -> torch.Tensor:
    extents = [int(extent) for extent in shape.split("x")]
    x = torch.randn(extents, dtype=torch.float32, device=device).to(dtype)
    if len(extents) == 2 or layout == "ncl":
        return x
    # Three axes have no channels-last format of their own.
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def calls(x: torch.Tensor) -> dict[str, Callable[[], object]]:
    channels = x.shape[1]
    weight, bias = (torch.randn(channels, device=x.device) for _ in range(2))
    mean, var = torch.zeros(channels, device=x.device), torch.ones(channels, device=x.device)
    inputs = [tensor.detach().requires_grad_(True) for tensor in (x, weight, bias)]
    y = functional.batch_norm(inputs[0], None, None, *inputs[1:], True, 0.1, EPS)
    dy = torch.randn_like(y)
    return {
        "train": lambda: functional.batch_norm(x, None, None, weight, bias, True, 0.1, EPS),
        "infer": lambda: functional.batch_norm(x, mean, var, weight, bias, False, 0.1, EPS),
        "backward": lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    options = parser.parse_args()
    runs = []
    names = dict.fromkeys(run["name"] for run in json.load(sys.stdin)["benchmarks"])
    for name in names:
        operation, layout, dtype, shape, threads, series = name.split("/")[:6]
        if operation != "train" or series != "halnorm":
            continue
        with torch.backends.cudnn.flags(enabled=False):
            for kind, call in calls(batch(shape, layout, DTYPES[dtype], options.device)).items():
                case = f"{kind}/{layout}/{dtype}/{shape}/{threads}/torch"
                row = {"name": case, "run_type": "iteration"}
                runs += [row | {"real_time": time} for time in times(call)]
    json.dump({"benchmarks": runs}, sys.stdout)


if __name__ == "__main__":
    main()
