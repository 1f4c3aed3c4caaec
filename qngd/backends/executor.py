"""Functions that run circuits, as mitiq's executors are, as a backend."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, get_origin

import numpy as np

from qngd._system.packages import load
from qngd.backends.base import BackendBase, Load
from qngd.backends.boundary import DeficientResult, PartlyRun, failure
from qngd.backends.results import Unreadable, said, tally
from qngd.backends.tallies import Tally
from qngd.circuit.circuit import Circuit
from qngd.errors import BackendError, require_bool, require_range, shown
from qngd.estimates.evaluation import Cost
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template

_LISTS = ("list", "tuple", "Sequence", "Iterable", "Collection")  # of annotations, also where they are texts


class Executor(BackendBase):
    """A function that runs Qiskit circuits, with whatever error mitigation it does, as a backend.

    `function(circuit)` gets a `QuantumCircuit` that measures and returns its counts: a mapping from bit strings, or
    mitiq's `MeasurementResult`. `function(circuit, observables)` gets one that does not measure and a list of
    `SparsePauliOp`s, products of Z, and returns their expectation values, as floats, or a tuple (values, standard
    errors). Energies, gradients and metrics are made of either. A mitiq `Executor` is taken for its `run`.

    Args:
        function: as above. If it has an argument `shots`, it is given that of each circuit.
        shots: what it runs a circuit with if it has no such argument, or what holds where nobody gives any. Without
            either it returns exact values.
        batched: whether it takes a list of circuits (and with it a list of lists of observables), and returns a list.
            None: whether the annotation of its first argument, or that of the counts that it returns, is a list.
        runs: how often it executes a circuit, such as the number of scale factors of zero-noise extrapolation: circuits
            and shots that `cost` says, and budgets count, are so many times those of qngd.
        overhead: by how much the mitigation multiplies the variance of a value, used where the function returns no
            standard errors. An error is √(overhead/shots) then.
        name: for people; that of the function if not given.
        is_noisy: whether what it returns is that of a noisy device, also after mitigation.

    Raises:
        BackendError: the function cannot be called with a circuit, or with a circuit and observables.
        SettingError: a setting is out of range.
    """

    is_lazy = True
    is_noisy = True  # of an instance its own

    def __init__(
        self,
        function: Any,
        *,
        shots: int | None = None,
        batched: bool | None = None,
        runs: int = 1,
        overhead: float = 1.0,
        name: str | None = None,
        is_noisy: bool = True,
    ) -> None:
        if batched is not None:
            require_bool(batched, "batched")
        require_bool(is_noisy, "is_noisy")
        for value, what in ((runs, "runs"), (1 if shots is None else shots, "shots")):
            require_range(value, what, "a whole number of at least 1", lambda number: number >= 1 and number % 1 == 0)
        require_range(overhead, "overhead", "a number above 0, as it multiplies variances", lambda n: n > 0)
        if not callable(function) and callable(getattr(function, "run", None)):  # mitiq's Executor
            function, batched = function.run, True
            name = name or "mitiq executor"
        if not callable(function):
            raise BackendError(f"backend: an executor is a function of circuits; got {shown(function)}")
        self.function = function
        self.runs, self.overhead, self.is_noisy = int(runs), float(overhead), is_noisy
        self._own_name = str(name or getattr(function, "__name__", type(function).__name__))
        self._shots = None if shots is None else int(shots)
        self._takes_shots, self.gives_values = _kind(function, self._own_name)
        self.batched = _is_batched(function, self.gives_values) if batched is None else batched

    @property
    def name(self) -> str:
        return self._own_name

    @property
    def default_shots(self) -> int | None:
        return self._shots

    @property
    def gives_counts(self) -> bool:
        return not self.gives_values

    @property
    def has_one_number(self) -> bool:
        return self.batched and self._takes_shots  # it is called once for every number

    @property
    def sent_whole(self) -> bool:
        return self.batched or self.runs > 1

    def preview(self, requests: Sequence[Request], templates: Sequence[Template]) -> Cost:
        """What these requests cost, all runs of their circuits counted. A circuit is a job for each of its runs; a
        list of all of them is one, though the function is called once for every number of shots in it.

        Raises:
            BackendError: the function runs other numbers of shots than are asked for.
        """
        for r, request in enumerate(requests):
            self._check_shots(request.shots, r)
        return self.spent(None, requests)

    def loads(self, requests: Sequence[Request], templates: Sequence[Template]) -> list[Load]:
        rows = np.repeat(np.arange(len(requests)), self.runs)
        shots = np.array([request.shots or 0 for request in requests], dtype=float)[rows]
        parts = [slice(0, len(rows))] if self.batched else [slice(r, r + 1) for r in range(len(rows))]
        return [Load(rows[part], shots[part]) for part in parts]

    def spent(self, handle: Any, requests: Sequence[Request]) -> Cost:
        shots = sum(request.shots or 0 for request in requests)
        jobs = min(1, len(requests)) if self.batched else len(requests) * self.runs
        return Cost(jobs, len(requests) * self.runs, shots * self.runs)

    def runs_whole(self, circuit: Circuit) -> bool:
        return False

    def submit(
        self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None
    ) -> tuple[Sequence[Template], Sequence[Request]]:
        """What `collect` will call the function with.

        Raises:
            BackendError: the function runs other numbers of shots than are asked for.
        """
        for r, request in enumerate(requests):
            self._check_shots(request.shots, r)
        return templates, requests

    def collect(self, handle: tuple[Sequence[Template], Sequence[Request]]) -> list[Outcome]:
        """Call the function.

        Raises:
            BackendError: it failed at its first call.
            PartlyRun: it failed at a later one.
            DeficientResult: it returned something other than what was asked for.
        """
        templates, requests = handle
        programs = load("qngd.backends.qiskit.programs", "qiskit", "backend: an executor")
        make = programs.for_values if self.gives_values else programs.for_counts
        asked = [make(templates[request.template], request.angles) for request in requests]
        found: list[Outcome] = []
        for r, (program, answer) in enumerate(zip(asked, self._answers(asked, requests), strict=True)):
            shots = requests[r].shots
            try:
                if self.gives_values:
                    found.append(program.read(answer, shots, self.overhead))
                else:
                    template = templates[requests[r].template]
                    assert shots is not None
                    found.append(_tally(answer, program.measured, template.num_qubits, shots).outcome(template))
            except Unreadable as error:
                raise DeficientResult(f"{self.name} returned {error} (request {r})") from error.__cause__
        return found

    def _answers(self, programs: Sequence[Any], requests: Sequence[Request]) -> list[Any]:
        """What the function returns for each."""
        arguments = [program.arguments for program in programs]
        answers: list[Any] = [None] * len(requests)
        if not self.batched:
            for r, request in enumerate(requests):
                answers[r] = self._call(arguments[r], request.shots, is_first=r == 0)
            return answers
        for number, shots in enumerate(sorted({request.shots for request in requests}, key=lambda shots: shots or 0)):
            rows = [r for r, request in enumerate(requests) if request.shots == shots]
            columns = [list(column) for column in zip(*(arguments[r] for r in rows), strict=True)]
            returned = self._call(columns, shots, is_first=number == 0)
            try:
                parts = list(returned)
            except TypeError:
                parts = [returned]
            if len(parts) != len(rows) or isinstance(returned, (str, dict)):
                raise DeficientResult(
                    f"{self.name} returned {said(returned)} where a list of {len(rows)} results was expected; if it "
                    "takes one circuit, write qngd.backends.Executor(function, batched=False)"
                )
            for r, part in zip(rows, parts, strict=True):
                answers[r] = part
        return answers

    def _call(self, arguments: Sequence[Any], shots: int | None, is_first: bool) -> Any:
        """What the function returns; that it raised something after other calls means that those are lost."""
        try:
            return self.function(*arguments, **({"shots": shots} if self._takes_shots else {}))
        except Exception as error:
            if is_first:
                raise
            raise PartlyRun(failure(self.name, error)) from error

    def _check_shots(self, shots: int | None, r: int) -> None:
        if shots is None and not self.gives_values:
            raise BackendError(
                f"backend: {self.name} returns counts, and their number is not known; write "
                "qngd.backends.Executor(function, shots=…) with the shots that it runs, or give shots=…"
            )
        if self._takes_shots or shots == self._shots:
            return
        own = "no number of its own" if self._shots is None else f"{self._shots} shots a circuit"
        called = self._own_name if self._own_name.isidentifier() else "function"
        raise BackendError(
            f"backend: {shots} shots are asked of {self.name} (request {r}), which takes no argument `shots` and was "
            f"given {own}; give it that argument, def {called}(circuit, …, *, shots), or say what it runs: "
            f"qngd.backends.Executor(function, shots={shots}), and give no other number"
        )


def _kind(function: Callable[..., Any], name: str) -> tuple[bool, bool]:
    """Whether it takes shots, and whether it is one of circuits and observables."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False, False
    takes_shots = "shots" in parameters
    free = [
        p for p in parameters.values() if p.name != "shots" and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    needed = [p for p in free if p.default is p.empty]
    if (not free and not any(p.kind is p.VAR_POSITIONAL for p in parameters.values())) or len(needed) > 2:
        raise BackendError(
            f"backend: {name} takes {len(needed)} arguments; an executor is a function of a circuit, which returns "
            "counts, or of a circuit and observables, which returns their expectation values"
        )
    return takes_shots, len(needed) == 2 or (len(free) > 1 and free[1].name == "observables")


def _is_batched(function: Callable[..., Any], gives_values: bool) -> bool:
    """By its annotations: that of the first argument, and as in mitiq that of what it returns."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return False
    first = next(iter(signature.parameters.values()), None)
    return _is_list(first.annotation if first else None) or (not gives_values and _is_list(signature.return_annotation))


def _is_list(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return annotation.partition("[")[0].rpartition(".")[2] in _LISTS
    kind = get_origin(annotation) or annotation
    return getattr(kind, "__name__", "") in _LISTS


def _tally(answer: Any, measured: np.ndarray, num_qubits: int, shots: int) -> Tally:
    """The counts that a function returned."""
    indices, get = getattr(answer, "qubit_indices", None), getattr(answer, "get_counts", None)
    if not callable(get):
        if isinstance(answer, (float, int, np.number)):
            raise Unreadable(
                f"{said(answer)} where counts were expected; a function that returns expectation values takes the "
                "observables too: def function(circuit, observables)"
            )
        return tally(answer, measured, num_qubits, shots)
    # mitiq's: the first letter is of the first qubit in qubit_indices, of the first measured one if these are not given
    qubits = measured if indices is None or list(indices) == list(range(len(measured))) else np.array(indices)
    if sorted(qubits.tolist()) != sorted(measured.tolist()):
        raise Unreadable(f"bits of the qubits {tuple(qubits.tolist())} where {tuple(measured.tolist())} were measured")
    return tally(get(), qubits[::-1], num_qubits, shots)
