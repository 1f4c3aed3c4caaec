"""QNodes and quantum functions, run on boxes or on the user's own arrays for the operations in them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pennylane as qml
from autograd import numpy as anp
from autograd.tracer import isbox
from pennylane.measurements import ExpectationMP
from pennylane.operation import Operator
from pennylane.tape import QuantumScript
from pennylane.workflow import construct_batch

from qngd.errors import CircuitError, ObservableError, QngdError
from qngd.interop.pennylane.arguments import Arguments, is_whole
from qngd.interop.pennylane.batches import one_of, size_of
from qngd.interop.pennylane.calls import Call, calls_of_qnodes
from qngd.interop.pennylane.frameworks import Framework, framework_of, loaded_frameworks, numbers_of
from qngd.interop.pennylane.rebind import rebuilt
from qngd.interop.pennylane.signatures import name_of, names_arguments
from qngd.interop.pennylane.tape import Tape, Way
from qngd.interop.pennylane.trace import plain

_SAME = 1e-9  # of a gate's parameter, run two ways
NO_OPERATIONS = (
    "the circuit has no wires; it must hold at least one operation. A function that runs a device, or a QNode that was "
    "compiled (jax.jit, qml.qjit), holds none of its own: give the QNode itself, as in minimize(node, theta0)"
)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Inside, nothing warns: of arrays that the user did not give, warnings are no help."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class ComputesWithNode(CircuitError):
    """A function that should be a circuit computes with the result of a QNode."""


class FunctionSource:
    """A quantum function, one that hands its arguments on to a QNode, or the function inside a QNode (with the
    transforms that the user put on it)."""

    def __init__(self, native: Callable[..., Any], arguments: Arguments, way: Way) -> None:
        self._native = native
        self._node = native if isinstance(native, qml.QNode) else None
        self.arguments = arguments
        self.way = way
        self.changes_results = False

    @property
    def device(self) -> Any:
        return None if self._node is None else self._node.device

    @property
    def device_shots(self) -> int | None:
        return None if self._node is None else self._node.shots.total_shots

    def variant(self, way: Way, fixed_groups: frozenset[str]) -> FunctionSource:
        return FunctionSource(self._native, replace(self.arguments, fixed_groups=fixed_groups), way)

    def ways(self) -> list[Way]:
        own = self.arguments.framework
        if own is not None:
            return [Way(), Way(own), Way(own, double=False)]
        return [Way(), *(Way(framework) for framework in loaded_frameworks())]

    def tape(self, values: Sequence[Any]) -> Tape:
        if self.way.framework is not None:
            with nullcontext() if self.arguments.framework else _without_warnings():
                return self._derived(self.way.framework, values)
        tape = self._boxed(values)
        if self.arguments.framework is not None:
            _check_same(tape.script, self._as_given(self.arguments.framework, values))
        return tape

    def script(self) -> QuantumScript:
        """The circuit at the arguments as they were given."""
        return self._script(self.arguments.example)

    def _boxed(self, values: Sequence[Any]) -> Tape:
        """By autograd, whatever arrays the user has."""
        arguments = self.arguments.bind(values)
        try:
            script = self._script(arguments)
        except QngdError:
            raise
        except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
            # a mistake of the user's own, or a value that is not allowed, raises here as well
            plainly = self._script(self.arguments.bind([plain(value) for value in values]))
            if not plainly.operations:
                raise CircuitError(NO_OPERATIONS) from error
            raise CircuitError(
                f"the quantum function works on numbers but its arithmetic cannot be followed "
                f"({type(error).__name__}: {error}); write it with pennylane.numpy or qml.math, and keep "
                f"the parameters in their arrays (no float(), no int()) and lists of them "
                f"in qml.math.stack{self._hint()}"
            ) from error
        return self._with_lists_as_arrays(script, values)

    def _with_lists_as_arrays(self, script: QuantumScript, values: Sequence[Any]) -> Tape:
        """PennyLane makes an array of Python objects of a list with boxes in it, which few operations take: the
        operation as it is on numbers stands in its place, with an array of boxes."""
        held = [any(_holds_objects(value) for value in op.data) for op in script.operations]
        if not any(held):
            return Tape(script, [None] * len(held))
        plainly = self._script(self.arguments.bind([plain(value) for value in values])).operations
        operations = [b if objects else a for a, b, objects in zip(script.operations, plainly, held, strict=True)]
        data = [
            [anp.array(value.tolist()) if _holds_objects(value) else value for value in op.data] if objects else None
            for op, objects in zip(script.operations, held, strict=True)
        ]
        return Tape(script.copy(operations=operations), data)

    def _hint(self) -> str:
        """What else to try."""
        whole = [leaf.name for leaf in self.arguments.trainable if leaf.marked and is_whole(leaf.value)]
        text = "; for functions of torch or jax.numpy give the parameters as their arrays"
        if whole:
            text += f"; {', '.join(whole)} holds whole numbers: if they are no parameters, mark it requires_grad=False"
        return text

    # ----- on the user's own arrays -----

    def _leaves(self, framework: Framework, values: Sequence[Any]) -> list[Any]:
        pairs = zip(self.arguments.trainable, values, strict=True)
        return [framework.leaf(np.asarray(plain(v)), leaf.value, double=self.way.double) for leaf, v in pairs]

    def _as_given(self, framework: Framework, values: Sequence[Any]) -> QuantumScript:
        with framework.precision():
            leaves = [framework.detached(leaf) for leaf in self._leaves(framework, values)]
            return self._script(self.arguments.bind(leaves, numbers=False))

    def _derived(self, framework: Framework, values: Sequence[Any]) -> Tape:
        """By the framework's own derivatives, which stand in boxes of `values`."""
        script = self._as_given(framework, values)
        places: list[tuple[int, int]] = []

        def moving(*leaves: Any) -> list[Any]:
            traced = self._script(self.arguments.bind(leaves, numbers=False))
            _check_followed(traced, framework)
            found = [(i, j) for i, op in enumerate(traced.operations) for j in range(len(op.data))]
            places.extend(place for place in found if framework.follows(traced.operations[place[0]].data[place[1]]))
            return [traced.operations[i].data[j] for i, j in places]

        with framework.precision():
            derived = framework.derive(moving, self._leaves(framework, values))
            operations = [_with_numbers(op, position) for position, op in enumerate(script.operations)]
        moved = {place: one.box(values) for place, one in zip(places, derived, strict=True)}
        moving_gates = {i for i, _ in places}
        data = [
            [moved.get((i, j), number) for j, number in enumerate(op.data)] if i in moving_gates else None
            for i, op in enumerate(operations)
        ]
        return Tape(script.copy(operations=operations), data)

    # ----- what runs -----

    def _script(self, arguments: Sequence[Any]) -> QuantumScript:
        with calls_of_qnodes() as calls:
            try:
                if isinstance(self._native, qml.QNode):
                    return self._of_node(self._native, arguments, {})
                returned: list[Any] = []
                script = qml.tape.make_qscript(lambda: returned.append(self._native(*arguments)))()
                if not calls:
                    return _one_of_one(script)
                if returned[0] is not calls[-1] or script.operations:
                    raise self._computes_with(calls[-1])
                self._node = calls[-1].node
                return self._of_node(self._node, calls[-1].args, calls[-1].kwargs)
            except QngdError:
                raise
            except Exception as error:
                if names_arguments(self._native, arguments):
                    raise CircuitError(
                        f"{name_of(self._native)} was given the dict of its arguments as one argument, and fails "
                        f"({type(error).__name__}: {error}); θ is the tuple of the arguments, or a single one: write "
                        "tuple(theta.values()) in their order"
                    ) from error
                if not calls or calls[-1].node is self._node:
                    raise
                raise self._computes_with(calls[-1]) from error

    def _computes_with(self, call: Call) -> ComputesWithNode:
        inner = getattr(call.node, "__name__", "the QNode")
        return ComputesWithNode(
            f"{name_of(self._native)} is no quantum function: it computes with the result of the QNode {inner}, and "
            f"only the circuit's own expectation value can be followed; give the QNode, as in minimize({inner}, "
            f"theta0=…), and put factors and sums into its observable (a function that returns {inner}(…) as it is may "
            f"be given as well). For a loss of what it returns{_over(call)} write "
            f"minimize({_objective_line(inner, call)}, theta0=…). Parameters outside circuits, such as a bias, "
            "qngd.pennylane.QNGOptimizer takes, with the function as it is"
        )

    def _of_node(self, node: qml.QNode, args: Sequence[Any], kwargs: dict[str, Any]) -> QuantumScript:
        batch, postprocess = construct_batch(node, level="user")(*args, **kwargs)
        if len(batch) != 1:
            raise CircuitError(
                f"the QNode's transforms make {len(batch)} circuits of it; wrap it without the transform that splits it"
            )
        self.changes_results = not _hands_on(postprocess, batch[0])
        return _one_of_one(batch[0])


def _one_of_one(script: QuantumScript) -> QuantumScript:
    """A batch of one circuit as this circuit: what a function written for batches makes of one sample."""
    return one_of(script, 0) if size_of(script) == 1 else script


def _over(call: Call) -> str:
    return ", over data," if _data_of(call) else ","


def _objective_line(node: str, call: Call | None = None) -> str:
    """What to write for a loss of a QNode's results: with the arguments of a call that no parameter moves as data."""
    data = ", ".join(f'"{name}": …' for name in _data_of(call))
    return f"qngd.Objective({node}, None, lambda outputs: …{f', data={{{data}}}' if data else ''})"


def _data_of(call: Call | None) -> list[str]:
    """The arguments of a call that hold arrays of numbers that no parameter moves."""
    if call is None:
        return []
    try:
        bound = inspect.signature(call.node.func).bind(*call.args, **call.kwargs)
    except TypeError:
        return []
    fixed = {name: value for name, value in bound.arguments.items() if not _is_traced(value)}
    return [name for name, value in fixed.items() if not isinstance(value, (bool, int, str, type(None), dict, tuple))]


def _is_traced(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_is_traced, value))
    return isbox(value) or _holds_objects(value)


def _hands_on(postprocess: Callable[[Any], Any], script: QuantumScript) -> bool:
    """Whether the transforms return expectation values as they were measured. Asked by numbers that no rule makes of
    each other: transforms are other people's functions."""
    if not all(isinstance(m, ExpectationMP) for m in script.measurements):
        return True  # no energy either way
    values = np.random.default_rng(20210).uniform(-1, 1, len(script.measurements))
    try:
        returned = postprocess((values[0] if len(values) == 1 else tuple(values),))
        return np.array_equal(np.ravel(returned), values)
    except Exception:
        return False


def _holds_objects(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == object


def _check_followed(script: QuantumScript, framework: Framework) -> None:
    """Raises an error where something else than a gate's own parameters depends on the leaves."""
    for measurement in script.measurements:
        if measurement.obs is not None and any(framework.follows(value) for value in _all_data(measurement.obs)):
            raise ObservableError(
                "the observable's coefficients depend on trainable arguments; since only gates may have parameters, "
                "give the coefficients as a NumPy array marked requires_grad=False, or as constants"
            )
    for position, op in enumerate(script.operations):
        own = [id(value) for value in op.data]
        if any(framework.follows(value) for value in _all_data(op) if id(value) not in own):
            raise CircuitError(
                f"gate #{position}, {op.name} on wires {list(op.wires)}: an operator inside it depends on parameters "
                f"by way of {framework.name}, which is not followed there; compute its coefficients with qml.math in "
                f"place of {framework.name}"
            )


def _all_data(op: Operator) -> Iterator[Any]:
    """The numbers of an operator and of those that it is made of."""
    yield from op.data
    inner = (getattr(op, "base", None), *getattr(op, "operands", ()))
    for part in inner:
        if isinstance(part, Operator):
            yield from _all_data(part)


def _with_numbers(op: Operator, position: int) -> Operator:
    """The operation with NumPy's numbers in the place of a framework's arrays."""
    if all(framework_of(value) is None for value in op.data):
        return op
    made = rebuilt(op, [numbers_of(value) for value in op.data])
    if made is None:
        raise CircuitError(
            f"gate #{position}, {op.name} on wires {list(op.wires)}: PennyLane cannot rebuild it with NumPy's numbers; "
            "give its parameters as NumPy arrays"
        )
    return made


def _check_same(boxed: QuantumScript, given: QuantumScript) -> None:
    """The function does the same on autograd's boxes as on the user's own arrays.

    Raises:
        CircuitError: it does not.
    """
    ours, theirs = boxed.operations, given.operations
    if list(map(_fixed_part, ours)) == list(map(_fixed_part, theirs)):
        pairs = [pair for a, b in zip(ours, theirs, strict=True) for pair in zip(a.data, b.data, strict=True)]
        if all(_agree(numbers_of(plain(a)), numbers_of(b)) for a, b in pairs):
            return
    raise CircuitError("the quantum function does something else with its own kind of arrays than with NumPy's")


def _fixed_part(op: Operator) -> tuple[Any, ...]:
    """What of an operation no number moves, as far as it is plain to see."""
    options = {name: value for name, value in op.hyperparameters.items() if isinstance(value, (bool, int, str))}
    return op.name, tuple(op.wires), repr(options)


def _agree(a: Any, b: Any) -> bool:
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=_SAME, atol=_SAME)
