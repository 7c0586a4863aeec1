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
from peer_suite import EPS, Case, Data, check

MOMENTUM = 0.1


def synchronized(call: Callable[[], object]) -> Callable[[], object]:
    """Calls return before the work is done."""

    def run() -> None:
        call()
        oneflow._oneflow_internal.eager.Sync()

    return run


def prepare(case: Case, data: Data) -> dict[str, Callable[[], object]]:
    if len(case.extents) == 3 and case.layout == "nlc":
        return {}
    oneflow.set_num_threads(case.threads)
    x, dy = (oneflow.tensor(values.reshape(case.extents)) for values in (data.x, data.dy))
    weight, bias = oneflow.tensor(data.weight), oneflow.tensor(data.bias)
    running = oneflow.tensor(data.running_mean), oneflow.tensor(data.running_var)
    names = {"axis": 1, "epsilon": EPS, "momentum": MOMENTUM}

    def forward() -> oneflow.Tensor:
        training = case.operation != "infer"
        return oneflow._C.normalization(x, *running, weight, bias, is_training=training, **names)

    if case.operation != "backward":
        check(case, data, (data.x, data.dy), forward().numpy())
        return {"normalization": synchronized(forward)}
    inputs = [x, weight, bias]
    for tensor in inputs:
        tensor.requires_grad = True
    y = forward()

    def backward() -> list[oneflow.Tensor]:
        return oneflow.autograd.grad([y], inputs, [dy], retain_graph=True)

    results = (np.asarray(tensor.numpy()) for tensor in backward())
    check(case, data, (data.x, data.dy), *results)
    return {"autograd": synchronized(backward)}


if __name__ == "__main__":
    peer_suite.main("oneflow", {"oneflow_version": oneflow.__version__}, ("f32",), prepare)
