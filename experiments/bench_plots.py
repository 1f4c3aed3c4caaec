"""Plots of the benchmark's measurements: time over qubits, time over parameters, memory over qubits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from experiments.peers.launch import Row

LAYERS, QUBITS = 4, 8  # what is held fixed
# Okabe and Ito's palette; a package has a colour, its variants differ in marker and line.
STYLES = {
    "qngd": ("#000000", "o", "-"),
    "qngd, public call": ("#000000", "s", ":"),
    "TensorCircuit-ng (JAX)": ("#D55E00", "^", "-"),
    "TensorCircuit-ng, own jacfwd": ("#D55E00", "v", ":"),
    "qulacs": ("#0072B2", "D", "-"),
    "Qiskit": ("#CC79A7", "P", "-"),
    "PennyLane default.qubit": ("#009E73", "X", "-"),
    "PennyLane default.qubit, adjoint": ("#009E73", "*", ":"),
    "PennyLane lightning.qubit": ("#E69F00", "h", "-"),
}
PANELS = {
    "full_metric": "full metric (Qiskit: ReverseQGT, PennyLane: adjoint_metric_tensor)",
    "step": "step with block metric",
    "gradient": "gradient",
    "state": "plain run",
}

Value = Callable[[Row], float | None]


def draw(rows: Sequence[Row], folder: Path) -> Iterator[Path]:
    """Write the plots that the measurements allow."""
    over_qubits = [row for row in rows if row.layers == LAYERS]
    over_parameters = [row for row in rows if row.num_qubits == QUBITS]
    every, metrics = list(PANELS), ["full_metric", "step"]
    layers, qubits = f"{LAYERS} layers, P = {2 * LAYERS}n", f"{QUBITS} qubits"
    steady = ("Time of a call once prepared (median, quartiles shaded)", "seconds", _steady)
    first = ("First call in a fresh process, without imports", "seconds", _first)
    memory = ("Peak memory over that of the imports", "MiB", _memory)
    pictures = {
        "time_over_qubits": (over_qubits, every, "num_qubits", layers, *steady),
        "first_call_over_qubits": (over_qubits, every, "num_qubits", layers, *first),
        "memory_over_qubits": (over_qubits, every, "num_qubits", layers, *memory),
        "time_over_parameters": (over_parameters, metrics, "parameters", qubits, *steady),
    }
    for name, (shown, kinds, across, fixed, title, unit, value) in pictures.items():
        if len({getattr(row, across) for row in shown if value(row) is not None}) < 2:
            continue
        figure = _picture(shown, kinds, across, value, unit)
        figure.suptitle(f"{title}; {fixed}. Missing points: stopped at the limit, failed or not tried")
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=140)
        yield path


def over_qubits(rows: Sequence[Row]) -> Figure:
    """Times of further calls by the number of qubits."""
    shown = [row for row in rows if row.layers == LAYERS]
    return _picture(shown, list(PANELS), "num_qubits", _steady, "seconds")


def _steady(row: Row) -> float | None:
    return row.median


def _first(row: Row) -> float | None:
    return row.first


def _memory(row: Row) -> float | None:
    return None if row.over_imports_mib is None or not row.times else max(row.over_imports_mib, 0.5)


def _picture(rows: Sequence[Row], kinds: Sequence[str], across: str, value: Value, unit: str) -> Figure:
    down = 2 if len(kinds) > 2 else 1
    figure = Figure(figsize=(11, 4.2 * down + 1.2), layout="constrained")
    panels = figure.subplots(down, 2, squeeze=False, sharex=True)
    for axes, kind in zip(panels.flat, kinds, strict=True):
        _panel(axes, [row for row in rows if row.kind == kind], across, value, PANELS[kind])
    for axes in panels[-1]:
        axes.set_xlabel({"num_qubits": "qubits n", "parameters": "parameters P"}[across])
    for axes in panels[:, 0]:
        axes.set_ylabel(unit)
    shown = {row.label for row in rows if row.kind in kinds and value(row) is not None}
    handles = [_handle(label) for label in STYLES if label in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _panel(axes: Axes, rows: Sequence[Row], across: str, value: Value, title: str) -> None:
    for label, (color, marker, line) in STYLES.items():
        points = sorted((getattr(r, across), value(r), r) for r in rows if r.label == label and value(r) is not None)
        if not points:
            continue
        x, y = [p[0] for p in points], [p[1] for p in points]
        axes.plot(x, y, color=color, marker=marker, linestyle=line, markersize=6, linewidth=1.4)
        if value is _steady:
            low, high = zip(*(p[2].quartiles for p in points), strict=True)
            axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set(yscale="log", title=title)
    if across == "parameters":
        axes.set_xscale("log", base=2)
    places = sorted({getattr(row, across) for row in rows})
    if not places:  # its empty ticks would be those of all panels
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color="0.5")
        return
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.grid(which="major", color="0.88", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def _handle(label: str) -> Line2D:
    color, marker, line = STYLES[label]
    return Line2D([], [], color=color, marker=marker, linestyle=line, label=label)
