"""OneFlow's batch normalization on the CPU, on the same shapes, inputs and threads.

Needs Python 3.9 or 3.10: there is no wheel of OneFlow 0.9.0 for a later one. Float32. Training and
inference are the function that nn.BatchNorm1d calls, backward is its autograd; y and dx are its own
memory, since it has no out= here. Of three dimensions only NCL: with axis=2 its CPU kernel gives
wrong results.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

if sys.version_info[:2] not in ((3, 9), (3, 10)):
    sys.exit("oneflow: needs Python 3.9 or 3.10, and oneflow.txt of this folder installed for it")

import numpy as np
import oneflow
import peer_suite
from peer_suite import EPS, Case, Data, Judge, Result

MOMENTUM = 0.1


class Problem:
    def __init__(self, case: Case, data: Data) -> None:
        shape = [case.n, case.c, case.length][: case.rank]
        self.x = oneflow.tensor(data.x.reshape(shape))
        self.dy = oneflow.tensor(data.dy.reshape(shape))
        self.weight, self.bias = oneflow.tensor(data.weight), oneflow.tensor(data.bias)
        self.running_mean = oneflow.tensor(data.running_mean)
        self.running_var = oneflow.tensor(data.running_var)
        self.inputs = [self.x, self.weight, self.bias]

    def batch_norm(self, training: bool) -> oneflow.Tensor:
        return oneflow._C.normalization(
            self.x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            axis=1,
            epsilon=EPS,
            momentum=MOMENTUM,
            is_training=training,
        )


def _finish() -> None:
    """Calls return before the work is done."""
    oneflow._oneflow_internal.eager.Sync()


def _synchronized(call: Callable[[], object]) -> Callable[[], object]:
    def run() -> None:
        call()
        _finish()

    return run


def measure(case: Case, data: Data, min_time: float) -> tuple[str, float] | None:
    if case.rank == 3 and case.layout == "nlc":
        return None
    oneflow.set_num_threads(case.threads)
    problem = Problem(case, data)
    judge = Judge(case, data, data.x, data.dy)
    if case.operation != "backward":
        training = case.operation == "train"
        judge.check(Result(problem.batch_norm(training).numpy()))
        calls = {"normalization": _synchronized(lambda: problem.batch_norm(training))}
        return peer_suite.fastest(calls, min_time)
    for tensor in problem.inputs:
        tensor.requires_grad = True
    y = problem.batch_norm(True)

    def backward() -> list[oneflow.Tensor]:
        return oneflow.autograd.grad([y], problem.inputs, [problem.dy], retain_graph=True)

    dx, dweight, dbias = (np.asarray(tensor.numpy()) for tensor in backward())
    judge.check(Result(dx, dweight, dbias))
    return peer_suite.fastest({"autograd": _synchronized(backward)}, min_time)


if __name__ == "__main__":
    peer_suite.main("oneflow", {"oneflow_version": oneflow.__version__}, ("f32",), measure)
