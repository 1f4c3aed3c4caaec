"""Following a user's arithmetic with autograd: which numbers depend on which parameters, and how.

The user's function runs once on *boxes*, as it does when autograd differentiates it; each elementary
operation leaves a `Node`. Unlike autograd's own nodes these remember what was done, so that the graph
can be asked afterwards: is this number an affine function of the parameters, which elements of theirs
does it reach, and what is its exact gradient (autograd's own rules, in reverse).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from autograd.core import add_outgrads, primitive_vjps, vspace
from autograd.numpy import numpy_wrapper as anp
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.numpy.numpy_vjps import nograd_functions
from autograd.tracer import Node as AutogradNode
from autograd.tracer import isbox, new_box, notrace_primitives, trace_stack
from pennylane.numpy.tensor import asarray as _tensor_asarray

_CONSTANT = -1  # in an index array: an element that no parameter moves
_serial = itertools.count()

# Functions that only move elements, and those that stack several arrays; the first traced argument.
_MOVES = {
    ArrayBox.__getitem__: 0, anp.reshape: 0, anp.ravel: 0, anp.transpose: 0, anp.swapaxes: 0,
    anp.moveaxis: 0, anp.rollaxis: 0, anp.squeeze: 0, anp.expand_dims: 0, anp.broadcast_to: 0,
    anp.flipud: 0, anp.fliplr: 0, anp.roll: 0, anp.repeat: 0, anp.tile: 0, anp.diagonal: 0,
    anp.atleast_1d: 0, anp.atleast_2d: 0, anp.atleast_3d: 0, anp.real: 0, anp._astype: 0,
    _tensor_asarray: 0, anp._array_from_scalar_or_array: 2,
}  # fmt: skip
_STACKS = {anp.concatenate_args: 1, anp.array_from_args: 2}
# Of the former, those whose other arguments say nothing about where an element goes.
_RESHAPES = {anp.real, anp._astype, _tensor_asarray, anp._array_from_scalar_or_array}
# Linear in all their traced arguments together, as long as those start at this position.
_LINEAR = {
    **_MOVES, **_STACKS, anp.add: 0, anp.subtract: 0, anp.negative: 0, anp.sum: 0, anp.mean: 0,
    anp.cumsum: 0, anp.trace: 0, anp.diag: 0, anp.tril: 0, anp.triu: 0, anp.imag: 0, anp.conj: 0,
    anp.conjugate: 0, anp.diff: 0, anp.pad: 0,
}  # fmt: skip
# Linear in the first argument when the second is a constant.
_QUOTIENTS = {anp.divide, anp.true_divide}
# Linear in one argument when the others are constants.
_PRODUCTS = {
    anp.multiply, anp.dot, anp.matmul, anp.tensordot, anp.inner, anp.outer, anp.kron, anp.einsum,
}  # fmt: skip
# Element by element: with one traced array of the result's shape, the Jacobian is diagonal.
_ELEMENTWISE = {
    anp.add, anp.subtract, anp.multiply, anp.divide, anp.true_divide, anp.power, anp.negative, anp.square,
    anp.sqrt, anp.exp, anp.log, anp.sin, anp.cos, anp.tan, anp.arcsin, anp.arccos, anp.arctan, anp.sinh,
    anp.cosh, anp.tanh, anp.reciprocal,
}  # fmt: skip
# Another parameter may matter elsewhere: nonzero gradients at a point do not show the whole pattern.
_BRANCHES = {
    anp.where, anp.maximum, anp.minimum, anp.fmax, anp.fmin, anp.max, anp.min, anp.amax, anp.amin,
    anp.clip, anp.sort, anp.partition,
}  # fmt: skip
# What autograd does not follow and yet says nothing about the values.
_SHAPE_ONLY = {
    anp.ndim, anp.shape, anp.size, anp.isscalar, anp.result_type, anp.iscomplexobj, anp.iscomplex,
    anp.isreal, anp.zeros_like, anp.ones_like, anp.isfinite, anp.isnan, anp.isinf,
}  # fmt: skip


class _Watch(set[Any]):
    """autograd's set of functions that are not followed, noticing those that look at values."""

    def __init__(self) -> None:
        super().__init__(nograd_functions)
        self.branched = False

    def __contains__(self, function: object) -> bool:
        ignored = super().__contains__(function)
        if ignored and function not in _SHAPE_ONLY:
            self.branched = True
        return ignored


class Single(NamedTuple):
    """For every element of an array the only parameter that moves it (−1: none), and the derivative by it."""

    which: np.ndarray
    rate: np.ndarray


class Node(AutogradNode):
    """One elementary operation: `value = function(*args, **kwargs)`, where the arguments at `argnums` came
    from `parents`. `linear` says whether the value is an affine function of the parameters."""

    __slots__ = (
        "_single", "argnums", "args", "function", "kwargs", "linear", "parents", "serial", "stopped",
        "value",
    )  # fmt: skip

    def __init__(self, value: Any, function: Any, args: Any, kwargs: Any, argnums: Any, parents: Any) -> None:
        kind = "O" if isbox(value) else getattr(value, "dtype", np.dtype(float)).kind
        if kind == "O":
            raise TypeError("plain NumPy made an array of Python objects of traced numbers")
        self.value = value
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.argnums = argnums
        self.parents = parents
        self.serial = next(_serial)
        self._single: Any = Ellipsis  # not asked for yet
        # rounded to integers or truth values: piecewise constant, its derivative is zero
        self.stopped = kind not in "fc"
        if self.stopped or function in _BRANCHES:
            _watch.branched = True
        self.linear = all(parent.linear for parent in parents) and _is_linear(function, argnums)

    def initialize_root(self, value: Any, index: np.ndarray) -> None:
        self.value = value
        self.function = None
        self.parents = ()
        self.serial = next(_serial)
        self.linear = True
        self.stopped = False
        self._single = Single(index, np.ones(np.shape(value)))

    @property
    def single(self) -> Single | None:
        """Which parameter moves each element and how fast, if it is one at most; else None."""
        if self._single is Ellipsis:
            self._single = None if self.stopped else _single(self)
        return self._single


_watch = _Watch()
notrace_primitives[Node] = _watch


def _is_linear(function: Any, argnums: Sequence[int]) -> bool:
    if function in _LINEAR:
        return argnums[0] >= _LINEAR[function]
    if function in _QUOTIENTS:
        return tuple(argnums) == (0,)
    return function in _PRODUCTS and len(argnums) == 1


def _single(node: Node) -> Single | None:
    function, argnums = node.function, tuple(node.argnums)
    first = _MOVES.get(function, _STACKS.get(function))
    if first is not None and argnums[0] >= first and (function in _STACKS or argnums == (first,)):
        traced = dict(zip(argnums, node.parents, strict=True))
        sources = {position: parent.single for position, parent in traced.items()}
        if any(source is None for source in sources.values()):
            return None
        if function in _RESHAPES:
            (source,) = sources.values()
            return Single(*(part.reshape(np.shape(node.value)) for part in source))
        return Single(_moved(node, sources, 0, _CONSTANT), _moved(node, sources, 1, 0.0))
    if function in _ELEMENTWISE and len(argnums) == 1 and np.isrealobj(node.value):
        parent = node.parents[0]
        if parent.single is not None and np.shape(parent.value) == np.shape(node.value):
            (slope,) = _pull_back(node, np.ones(np.shape(node.value)))
            return Single(parent.single.which, np.asarray(slope) * parent.single.rate)
    return None


def _moved(node: Node, sources: dict[int, Any], part: int, constant: float) -> np.ndarray:
    """The node's function on the indices or rates of its arguments instead of on their values."""
    args = list(node.args)
    if node.function in _STACKS:
        for position in range(_STACKS[node.function], len(args)):
            args[position] = np.full(np.shape(args[position]), constant)
    for position, source in sources.items():
        args[position] = source[part]
    return np.asarray(node.function(*args, **node.kwargs))


class Trace:
    """What a run on boxes saw, beyond the nodes: `branched` is true if a value decided something."""

    branched = False


@contextmanager
def tracing(values: Sequence[Any]) -> Iterator[tuple[list[Any], Trace]]:
    """Boxes of these arrays and numbers, whose elements are the parameters 0, 1, 2, … in this order.

    Inside, arithmetic on the boxes is followed; `Trace.branched` holds after the block.
    """
    trace = Trace()
    before, _watch.branched = _watch.branched, False
    try:
        with trace_stack.new_trace() as number:
            boxes, start = [], 0
            for value in values:
                size = int(np.size(value))
                index = np.arange(start, start + size).reshape(np.shape(value))
                boxes.append(new_box(value, number, Node.new_root(value, index)))
                start += size
            yield boxes, trace
    finally:
        trace.branched = _watch.branched
        _watch.branched = before


def has_branched() -> bool:
    """Whether, inside `tracing`, a value has decided something so far: the graph may be another one elsewhere."""
    return _watch.branched


def node_of(value: Any) -> Node | None:
    """The node of a box, or None for an ordinary value."""
    return value._node if isbox(value) and isinstance(value._node, Node) else None


def plain(value: Any) -> Any:
    """The value inside a box (of any depth), or the value itself."""
    while isbox(value):
        value = value._value
    return value


def gradient(node: Node) -> dict[int, float]:
    """The exact gradient of a real number, as parameter → derivative (zeros left out).

    Raises:
        NotImplementedError: autograd does not know the derivative of a function used.
    """
    collected: dict[int, float] = {}
    outgrads: dict[Node, Any] = {node: (vspace(node.value).ones(), False)}
    queue = [(-node.serial, node)]
    while queue:
        _, current = heapq.heappop(queue)
        grad = outgrads.pop(current)[0]
        if current.single is not None:
            _collect(collected, current.single, np.real(grad))
            continue
        if current.stopped:
            continue
        for parent, ingrad in zip(current.parents, _pull_back(current, grad), strict=True):
            if parent not in outgrads:
                heapq.heappush(queue, (-parent.serial, parent))
            outgrads[parent] = add_outgrads(outgrads.get(parent), ingrad)
    return {index: value for index, value in collected.items() if value != 0.0}


def _pull_back(node: Node, grad: Any) -> Any:
    maker = primitive_vjps.get(node.function)
    if maker is None:
        name = getattr(node.function, "__name__", node.function)
        raise NotImplementedError(f"autograd has no derivative of {name}")
    # plain NumPy's functions, np.sum say, hand on to a box's method all that they could have been told
    kwargs = {name: value for name, value in node.kwargs.items() if value is not None or name not in ("out", "dtype")}
    return maker(node.argnums, node.value, node.args, kwargs)(grad)


def _collect(collected: dict[int, float], single: Single, grad: np.ndarray) -> None:
    if single.which.ndim == 0:
        pairs: Iterable[tuple[int, float]] = [(int(single.which), float(grad) * float(single.rate))]
    else:
        slopes = np.asarray(grad * single.rate).reshape(-1)
        where = np.flatnonzero(slopes)
        pairs = zip(single.which.reshape(-1)[where].tolist(), slopes[where].tolist(), strict=True)
    for i, value in pairs:
        if i != _CONSTANT:
            collected[i] = collected.get(i, 0.0) + value


def is_affine_in(node: Node, free: np.ndarray) -> bool:
    """Whether the value is an affine function of the parameters in `free` (mask over all) at any values of the others.

    With these constant, an operation is linear if it is so in those of its arguments that free parameters move.
    """
    seen: set[Node] = set()
    stack = [node]
    while stack:
        current = stack.pop()
        if current not in seen:
            seen.add(current)
            stack.extend(current.parents)
    moves: dict[Node, bool] = {}
    affine: dict[Node, bool] = {}
    for each in sorted(seen, key=lambda one: one.serial):  # parents first
        if not each.parents:
            single = each.single
            moves[each] = single is not None and bool(free[single.which[single.which != _CONSTANT]].any())
            affine[each] = True
            continue
        moved = [(at, parent) for at, parent in zip(each.argnums, each.parents, strict=True) if moves[parent]]
        moves[each] = bool(moved) and not each.stopped
        linear = not moved or _is_linear(each.function, [at for at, _ in moved])
        affine[each] = not moves[each] or (linear and all(affine[parent] for _, parent in moved))
    return affine[node]


def reach(nodes: Sequence[Node]) -> set[int]:
    """All parameters that could possibly move one of these values."""
    found: set[int] = set()
    seen: set[Node] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.single is not None:
            found.update(np.unique(node.single.which).tolist())
        else:
            stack.extend(node.parents)
    return found - {_CONSTANT}
