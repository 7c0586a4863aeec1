"""PyTorch's batch normalization on the same shapes, inputs and threads, or on a GPU by its own
kernels, not by cuDNN.

(N, C) is given to it as such, NCL as (N, C, L), and NLC as (N, C, 1, L) in channels-last memory
format, for which it has code of its own; three dimensions with strides take a slower way.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import peer_suite
import torch
from peer_suite import EPS, Case, Data, check

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
MOMENTUM = 0.1


def tensor_of(values: np.ndarray, case: Case) -> torch.Tensor:
    flat = torch.from_numpy(values).to(DTYPES[case.dtype], copy=True)
    if len(case.extents) == 2 or case.layout == "ncl":
        return flat.view(case.extents)
    n, c, length = case.extents
    return flat.view(n, length, 1, c).permute(0, 3, 2, 1)


def in_memory_order(tensor: torch.Tensor) -> np.ndarray:
    if tensor.dim() == 4:
        tensor = tensor.permute(0, 3, 2, 1)
    if not tensor.is_contiguous():
        raise SystemExit("torch gave another layout")
    return tensor.reshape(-1).to(torch.float32).numpy()


class Problem:
    def __init__(self, case: Case, data: Data) -> None:
        tensors = tensor_of(data.x, case), tensor_of(data.dy, case)
        # These are copies, because training writes to the running statistics.
        columns = (data.weight, data.bias, data.running_mean, data.running_var)
        columns = (torch.from_numpy(values.copy()) for values in columns)
        self.x, self.dy, self.weight, self.bias, self.running_mean, self.running_var = (
            tensor.to(case.device) for tensor in (*tensors, *columns)
        )
        self.out = torch.empty_like(self.x)
        self.mean, self.invstd = (torch.empty_like(self.weight) for _ in range(2))

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


def prepare(case: Case, data: Data) -> dict[str, Callable[[], object]]:
    torch.set_num_threads(case.threads)
    problem = Problem(case, data)

    def judge(out: torch.Tensor, *gradients: torch.Tensor) -> None:
        if case.device == "cpu":
            given = in_memory_order(problem.x), in_memory_order(problem.dy)
            gradients = (gradient.float().numpy() for gradient in gradients)
            check(case, data, given, in_memory_order(out), *gradients)

    if case.operation == "backward":
        problem.batch_norm_out(True)
        judge(*problem.backward())
        return {"native_batch_norm_backward": problem.backward}
    training = case.operation == "train"
    calls = {
        "batch_norm": lambda: problem.batch_norm(training),
        "native_batch_norm.out": lambda: problem.batch_norm_out(training),
    }
    for call in calls.values():
        judge(call())
    return calls


def queued(call: Callable[[], object], seconds: float) -> list[float]:
    """Calls back to back; the timer waits for the device before and after a run."""
    from torch.utils.benchmark import Timer  # which takes a second to load

    timer = Timer("call()", globals={"call": call})
    timer.timeit(3)
    count = max(1, int(seconds / timer.timeit(3).mean))
    return [timer.timeit(count).mean * 1e9 for _ in range(7)]


if __name__ == "__main__":
    with torch.inference_mode():
        context = {"torch_version": torch.__version__}
        peer_suite.main("torch", context, tuple(DTYPES), prepare, queued)
