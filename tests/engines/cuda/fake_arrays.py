"""Arrays of the stand-in for CuPy: NumPy's functions queued on the current stream, values out of the host's reach.

`float(array)`, `bool(array)`, NumPy functions of an array and host arrays beside an array all raise: each would be a
round trip to the host, or an upload that nobody asked for. Only `asarray` takes host arrays, and counts them.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from tests.engines.cuda.fake_streams import Machine, MemoryPointer

# of the array API standard, element by element or along an axis; arguments that are arrays come first
_FUNCTIONS = (
    "abs", "all", "argmax", "exp", "full_like", "isfinite", "log", "log1p", "max", "ones_like", "sign", "sqrt", "take",
    "real", "tanh", "where", "zeros_like",
)  # fmt: skip


class HostRoundTripError(TypeError):
    """A value of the device was asked for on the host."""


def install(module: types.ModuleType | Any, machine: Machine) -> None:
    """Put `ndarray` and the functions on arrays into `module`."""

    def compute(function: Any, *arguments: Any, **named: Any) -> ndarray:
        """`function` of arrays and scalars, later; its shape is known now."""
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                raise HostRoundTripError("a host array beside device arrays: unsupported")
        views = [a.values if isinstance(a, ndarray) else a for a in arguments]
        with np.errstate(all="ignore"):
            shape = function(*(np.zeros_like(v) if isinstance(v, np.ndarray) else v for v in views), **named)
        result = new(shape.shape, shape.dtype)
        values = result.values  # of the pool's memory: queued work does not keep the array itself alive

        def run() -> None:
            with np.errstate(all="ignore"):
                values[...] = function(*views, **named)

        machine.current.queue(run)
        return result

    def new(shape: tuple[int, ...], dtype: Any) -> ndarray:
        n_bytes = max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        return ndarray(shape, dtype, memptr=machine.allocators[-1](n_bytes))

    class ndarray:  # noqa: N801 - CuPy's name
        __array_ufunc__ = None

        def __init__(self, shape: Any, dtype: Any, memptr: MemoryPointer, values: np.ndarray | None = None) -> None:
            self.data, self.dtype = memptr, np.dtype(dtype)
            if values is None:
                values = np.ndarray(shape, dtype, memptr.block.memory.memory, memptr.offset)
            self.values = values  # for this module alone
            self.shape, self.ndim, self.size, self.nbytes = values.shape, values.ndim, values.size, values.nbytes

        def view(self, values: np.ndarray) -> ndarray:
            return ndarray(values.shape, self.dtype, self.data, values)

        def __getitem__(self, key: Any) -> ndarray:
            for part in key if isinstance(key, tuple) else (key,):
                assert part is None or part is Ellipsis or isinstance(part, slice | int), part
            return self.view(self.values[(*key, ...)] if isinstance(key, tuple) and Ellipsis not in key
                             else self.values[key if isinstance(key, tuple) else (key, ...)])  # fmt: skip

        @property
        def T(self) -> ndarray:
            return self.view(self.values.T)

        def _refuse(self, *_: object, **__: object) -> Any:
            raise HostRoundTripError("a value of the device was asked for on the host")

        __array__ = __float__ = __int__ = __bool__ = __index__ = __iter__ = __len__ = __complex__ = _refuse
        get = item = tolist = _refuse
        __hash__ = None  # type: ignore[assignment]

    def operator(name: str) -> Any:
        def method(self: Any, other: Any) -> Any:
            return compute(lambda a, b: getattr(a, name)(b), self, other)

        return method

    names = ["add", "sub", "mul", "truediv", "and"]
    names = [f"__{side}{name}__" for name in names for side in ("", "r")]
    for name in (*names, "__le__", "__lt__", "__ge__", "__gt__", "__eq__"):
        setattr(ndarray, name, operator(name))
    ndarray.__neg__ = lambda self: compute(np.negative, self)  # type: ignore[attr-defined]
    ndarray.__module__ = "cupy"

    def function(name: str) -> Any:
        return lambda *arguments, **named: compute(getattr(np, name), *arguments, **named)

    def asarray(values: Any, dtype: Any = None, copy: bool | None = None) -> ndarray:
        if isinstance(values, ndarray):
            same = dtype is None or np.dtype(dtype) == values.dtype
            return values if same and not copy else compute(lambda a: a.astype(dtype or a.dtype), values)
        host = np.array(values, dtype=dtype)
        machine.not_capturing("a copy from host memory")
        machine.to_device += 1
        result = new(host.shape, host.dtype)
        target = result.values
        machine.current.queue(lambda: target.__setitem__(Ellipsis, host))
        return result

    def reshape(array: ndarray, shape: Any) -> ndarray:
        if array.values.flags.c_contiguous:
            return array.view(array.values.reshape(shape))
        return compute(lambda a: a.reshape(shape), array)

    def ascontiguousarray(array: ndarray) -> ndarray:
        if array.values.flags.c_contiguous:
            offset = array.values.ctypes.data - array.data.block.memory.pointer
            return ndarray(array.shape, array.dtype, MemoryPointer(array.data.block, offset))
        return compute(np.copy, array)

    def concat(arrays: Any, axis: int = 0) -> ndarray:
        if len(arrays) > 8:  # CuPy's kernel for many arrays takes their addresses from host memory
            machine.not_capturing("a copy from host memory")
        return compute(lambda *parts: np.concatenate(parts, axis=axis), *arrays)

    module.__dict__.update({name: function(name) for name in _FUNCTIONS})
    module.__dict__.update(
        ndarray=ndarray,
        asarray=asarray,
        reshape=reshape,
        ascontiguousarray=ascontiguousarray,
        concat=concat,
        permute_dims=lambda array, axes: array.view(array.values.transpose(axes)),
        zeros=lambda shape, dtype: compute(lambda: np.zeros(shape, dtype)),
        arange=lambda stop, dtype: compute(lambda: np.arange(stop, dtype=dtype)),
        float64=np.float64,
        int64=np.int64,
    )
