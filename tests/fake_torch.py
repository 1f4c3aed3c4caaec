"""A stand-in for torch: tensors that carry their derivatives forward, with as much of torch's surface as a QNode on
them and its reading need. It lets the way by a framework's own arrays be tested where torch is not installed."""

from __future__ import annotations

import sys
import types

import numpy as np


class DType:
    def __init__(self, name):
        self.name = name
        self.numpy = np.dtype(name)

    def __repr__(self):
        return f"torch.{self.name}"


float64, float32, int64 = DType("float64"), DType("float32"), DType("int64")
_BY_NUMPY = {dtype.numpy: dtype for dtype in (float64, float32, int64)}


class Tensor:
    """`slopes` maps a leaf to ∂value/∂leaf, of the shape value.shape + leaf.shape."""

    __array_ufunc__ = None
    device = types.SimpleNamespace(type="cpu", index=None)

    def __init__(self, value, requires_grad=False, slopes=None):
        self.value = np.asarray(value)
        self.slopes = {} if slopes is None else slopes
        self.is_leaf = slopes is None
        self._wanted = requires_grad
        if self.is_leaf and requires_grad:
            self.requires_grad_(True)

    # --- what a reader asks ---
    @property
    def requires_grad(self):
        return self._wanted or bool(self.slopes)

    def requires_grad_(self, wanted):
        self._wanted = wanted
        size = self.value.size
        self.slopes = {id(self): np.eye(size).reshape(self.value.shape * 2)} if wanted else {}
        return self

    @property
    def dtype(self):
        return _BY_NUMPY[self.value.dtype]

    @property
    def shape(self):
        return self.value.shape

    @property
    def ndim(self):
        return self.value.ndim

    def dim(self):
        return self.value.ndim

    def is_floating_point(self):
        return self.value.dtype.kind == "f"

    def is_complex(self):
        return False

    def detach(self):
        return Tensor(self.value)

    def cpu(self):
        return self

    def double(self):
        return Tensor(self.value.astype(float))

    def numpy(self):
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self.value

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numpy(), dtype=dtype)

    def item(self):
        return self.value.item()

    __float__ = item

    # --- arithmetic ---
    def map(self, function):
        """A linear map of elements, applied to the value and to every derivative."""
        return Tensor(function(self.value), slopes={leaf: function(slope) for leaf, slope in self.slopes.items()})

    def __getitem__(self, index):
        return self.map(lambda array: array[index])

    def __iter__(self):
        return (self[i] for i in range(len(self.value)))

    def __len__(self):
        return len(self.value)

    def reshape(self, *shape):
        size = int(np.prod(self.shape, dtype=int))
        (wanted,) = shape if len(shape) == 1 and not isinstance(shape[0], int) else (shape,)
        wanted = np.zeros(size).reshape(wanted).shape
        return self.map(lambda array: array.reshape(wanted + array.shape[self.ndim :]))

    def __add__(self, other):
        other = other if isinstance(other, Tensor) else Tensor(np.asarray(other, dtype=self.value.dtype))
        if self.value.dtype != other.value.dtype:
            raise RuntimeError("expected both tensors to have the same dtype")
        zero = np.float64(0)
        leaves = {**self.slopes, **other.slopes}
        slopes = {leaf: self.slopes.get(leaf, zero) + other.slopes.get(leaf, zero) for leaf in leaves}
        return Tensor(self.value + other.value, slopes=slopes)

    __radd__ = __add__

    def __mul__(self, other):
        if not isinstance(other, Tensor):
            return self.map(lambda array: array * other)
        assert self.shape == other.shape == ()
        left, right = self.map(lambda array: array * other.value), other.map(lambda array: array * self.value)
        return Tensor(left.value, slopes=(left + right).slopes)

    __rmul__ = __mul__


def sin(tensor):
    if not isinstance(tensor, Tensor):
        raise TypeError(f"sin(): argument 'input' must be Tensor, not {type(tensor).__name__}")
    slope = np.cos(tensor.value)
    slopes = {leaf: s * slope.reshape(slope.shape + (1,) * (s.ndim - slope.ndim)) for leaf, s in tensor.slopes.items()}
    return Tensor(np.sin(tensor.value), slopes=slopes)


def as_tensor(values, dtype=None, device=None):
    return Tensor(np.asarray(values, dtype=None if dtype is None else dtype.numpy))


def _grad(element, leaves, retain_graph, allow_unused):
    slopes = [element.slopes.get(id(leaf)) for leaf in leaves]
    return [None if slope is None else Tensor(slope) for slope in slopes]


class Parameter(Tensor):
    def __init__(self, data, requires_grad=True):
        super().__init__(data.value, requires_grad)


def installed(monkeypatch):
    """This module as `torch`, for the time of a test."""
    for kind in (Tensor, Parameter, DType):
        monkeypatch.setattr(kind, "__module__", "torch")
    module = types.ModuleType("torch")
    names = {name: globals()[name] for name in ("Tensor", "sin", "as_tensor", "float64", "float32", "int64")}
    module.__dict__.update(
        names,
        nn=types.SimpleNamespace(Parameter=Parameter),
        autograd=types.SimpleNamespace(grad=_grad),
        tensor=lambda values, dtype=float64, requires_grad=False: Tensor(
            np.asarray(values, dtype=dtype.numpy), requires_grad
        ),
    )
    monkeypatch.setitem(sys.modules, "torch", module)
    return module
