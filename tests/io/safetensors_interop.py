"""The other side of safetensors_file_test.cpp: Python's own safetensors package.

write PATH   the tensors of a torch.nn.BatchNorm1d(3).state_dict(), as torch would have them written
check PATH   reads what the test has written, and exits with 1 if anything differs
"""

import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file


def write(path):
    save_file(
        {
            "weight": np.array([1.5, -2, 0.25], np.float32),
            "bias": np.array([0, 1, 2], np.float32),
            "running_mean": np.array([10, 20, 30], np.float32),
            "running_var": np.array([1, 4, 9], np.float32),
            "num_batches_tracked": np.array(42, np.int64),
        },
        path,
        metadata={"format": "pt"},
    )


def check(path):
    wanted = {
        "weight": np.array([1.5, -2, 0.25], np.float32),
        "bias": np.zeros(3, np.float32),
        "running_mean": np.array([10, 20, 30], np.float32),
        "running_var": np.ones(3, np.float32),
        "num_batches_tracked": np.array(42, np.int64),
        "half": np.array([1, 0.5], np.float16),
        "double": np.full((2, 1), 0.1),
        "empty": np.zeros((0, 3), np.float32),
        "strided": np.array([[1, 4], [2, 5], [3, 6]], np.float32),
        "caf\u00e9": np.array([7], np.float32),
    }
    got = load_file(path)
    assert got.keys() == wanted.keys(), got.keys()
    for name, tensor in wanted.items():
        assert got[name].dtype == tensor.dtype, (name, got[name].dtype)
        assert got[name].shape == tensor.shape, (name, got[name].shape)
        assert np.array_equal(got[name], tensor), (name, got[name])
    with safe_open(path, framework="np") as file:
        assert file.metadata() == {"version": "2"}, file.metadata()


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](sys.argv[2])
