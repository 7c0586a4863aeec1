"""Inference and a gradient through the C interface, with ctypes and nothing else.

python normalize_ctypes.py LIBRARY: a shared library that exports the functions of halnorm_c.h.
"""

import ctypes
import sys
from array import array
from ctypes import POINTER, Structure, byref, c_double, c_int, c_int64, c_void_p


class DLTensor(Structure):
    """As dlpack/dlpack.h has it; the fields of device and dtype stand in line."""

    _fields_ = (
        ("data", c_void_p),
        ("device_type", c_int),
        ("device_id", c_int),
        ("ndim", c_int),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


def tensor(values: "array[float]", *shape: int) -> DLTensor:
    """A view of values, which have to live as long as it is used."""
    address, _ = values.buffer_info()
    extents = (c_int64 * len(shape))(*shape)
    return DLTensor(address, 1, 0, len(shape), 2, 8 * values.itemsize, 1, extents, None, 0)


def load(path: str) -> ctypes.CDLL:
    library = ctypes.CDLL(path)
    pointer = POINTER(DLTensor)
    library.halnorm_last_error.restype = ctypes.c_char_p
    library.halnorm_version.restype = ctypes.c_char_p
    library.halnorm_batch_norm_infer.argtypes = [pointer] * 5 + [c_double, pointer]
    library.halnorm_batch_norm_backward_infer.argtypes = [pointer] * 5 + [c_double] + [pointer] * 3
    return library


def main() -> int:
    halnorm = load(sys.argv[1])

    def check(status: int) -> None:
        if status != 0:
            raise ValueError(halnorm.halnorm_last_error().decode())

    values, means, variances = array("f", [1, 10, 3, 30]), array("f", [2, 20]), array("f", [4, 400])
    x, mean, var = tensor(values, 2, 2), tensor(means, 2), tensor(variances, 2)
    y = array("f", [0] * 4)
    out = tensor(y, 2, 2)
    check(halnorm.halnorm_batch_norm_infer(x, mean, var, None, None, 1e-5, byref(out)))
    print(halnorm.halnorm_version().decode(), list(y))
    assert all(abs(got - want) < 1e-4 for got, want in zip(y, [-0.5, -0.5, 0.5, 0.5], strict=True))

    dbias = array("f", [0, 0])
    to_dbias = tensor(dbias, 2)
    check(
        halnorm.halnorm_batch_norm_backward_infer(
            x, x, None, mean, var, 1e-5, None, None, byref(to_dbias)
        )
    )
    assert list(dbias) == [4, 40]

    wrong = tensor(dbias, 1, 2)
    try:
        check(halnorm.halnorm_batch_norm_infer(x, mean, var, None, None, 1e-5, byref(wrong)))
    except ValueError as error:
        print("refused:", error)
        assert str(error).startswith("halnorm_batch_norm_infer: y has shape (1, 2)")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
