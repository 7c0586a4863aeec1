"""PyTorch's batch normalization on the CPU, on the same shapes, inputs and threads.

(N, C) is given to it as such, NCL as (N, C, L), and NLC as (N, C, 1, L) in channels-last memory
format, for which it has code of its own; three dimensions with strides take a slower way.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import peer_suite
import torch
from peer_suite import EPS, Case, Data, Judge, Result

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
MOMENTUM = 0.1


def tensor_of(values: np.ndarray, case: Case) -> torch.Tensor:
    flat = torch.from_numpy(values).to(DTYPES[case.dtype], copy=True)
    if case.rank == 2:
        return flat.view(case.n, case.c)
    if case.layout == "ncl":
        return flat.view(case.n, case.c, case.length)
    return flat.view(case.n, case.length, 1, case.c).permute(0, 3, 2, 1)


def in_memory_order(tensor: torch.Tensor, case: Case) -> np.ndarray:
    if tensor.dim() == 4:
        tensor = tensor.permute(0, 3, 2, 1)
    if not tensor.is_contiguous():
        raise SystemExit(f"torch gave another layout for {case}")
    return tensor.reshape(-1).to(torch.float32).numpy()


class Problem:
    def __init__(self, case: Case, data: Data) -> None:
        self.case = case
        self.x, self.dy = tensor_of(data.x, case), tensor_of(data.dy, case)
        self.out = torch.empty_like(self.x)
        self.weight, self.bias = torch.from_numpy(data.weight), torch.from_numpy(data.bias)
        # Copies: training writes to them.
        self.running_mean = torch.from_numpy(data.running_mean.copy())
        self.running_var = torch.from_numpy(data.running_var.copy())
        self.mean, self.invstd = torch.empty(case.c), torch.empty(case.c)

    def batch_norm(self, training: bool) -> torch.Tensor:
        """As torch.nn.functional runs it: allocates y."""
        stats = self.running_mean, self.running_var
        parameters = self.weight, self.bias
        return torch.batch_norm(self.x, *parameters, *stats, training, MOMENTUM, EPS, False)

    def batch_norm_out(self, training: bool) -> torch.Tensor:
        stats = self.running_mean, self.running_var
        outputs = {"out": self.out, "save_mean": self.mean, "save_invstd": self.invstd}
        torch.ops.aten.native_batch_norm.out(
            self.x, self.weight, self.bias, *stats, training, MOMENTUM, EPS, **outputs
        )
        return self.out

    def backward(self) -> tuple[torch.Tensor, ...]:
        stats = self.running_mean, self.running_var, self.mean, self.invstd
        return torch.ops.aten.native_batch_norm_backward(
            self.dy, self.x, self.weight, *stats, True, EPS, [True, True, True]
        )


def measure(case: Case, data: Data, min_time: float) -> tuple[str, float]:
    torch.set_num_threads(case.threads)
    problem = Problem(case, data)
    judge = Judge(case, data, in_memory_order(problem.x, case), in_memory_order(problem.dy, case))
    calls: dict[str, Callable[[], object]]
    if case.operation == "backward":
        problem.batch_norm_out(True)
        dx, dweight, dbias = problem.backward()
        result = Result(in_memory_order(dx, case), dweight.float().numpy(), dbias.float().numpy())
        judge.check(result)
        calls = {"native_batch_norm_backward": problem.backward}
    else:
        training = case.operation == "train"
        ways = {"batch_norm": problem.batch_norm, "native_batch_norm.out": problem.batch_norm_out}
        calls = {}
        for name, way in ways.items():
            judge.check(Result(in_memory_order(way(training), case)))
            calls[name] = lambda way=way: way(training)
    return peer_suite.fastest(calls, min_time)


if __name__ == "__main__":
    with torch.inference_mode():
        context = {"torch_version": torch.__version__}
        peer_suite.main("torch", context, tuple(DTYPES), measure)
