"""Where each kernel of the exact engine stands between what the machine streams and what it multiplies.

Measured in one run, on one thread, for states in every level of the memory: how fast this machine streams
(a[i] = b[i] + s·c[i]) and multiplies and adds (chains in registers), and for each of our main kernels the bytes it
must move and the operations it must do, its time, and its share of the roof min(peak, intensity × stream).

    python -m experiments.roofline            about a minute
    python -m experiments.roofline --smoke    a few seconds

Times are the shortest of several, in processor time of the thread, so that other work on the machine disturbs them
little. Bytes count every array once per pass, operations are those of the formulas (signs included). The stream's
bytes are counted likewise, without the line that a store reads first, so that a kernel in place may exceed its roof.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import matplotlib.pyplot as plt
import numba
import numpy as np
from matplotlib.figure import Figure

from experiments.record import Experiment, Verdict, main
from qngd._system.threads import _controller
from qngd.exact.kernels import diagonal, strings, sweeps, tangents, tiles
from qngd.exact.kernels import rotations as rotation_kernels
from qngd.exact.kernels.layout import CHUNK, CHUNK_BITS, ROW_BITS, Amplitudes, Rotations, Rows, Stages, rotation_at

SIZES = {"L1": 9, "L2": 13, "L3": 18, "memory": 22}  # qubits; one state is 16·2ⁿ bytes
SMOKE = {"L1": 8}
FEW = 4  # kernels of a smoke, each of which is compiled in a loop of its own
_CHAIN = 16  # multiply-adds per load
_LANES = 32
_TILE = 8  # directions of a tile
_NEAR = 0.5  # of the roof


@dataclass(frozen=True)
class Point:
    """One kernel at one size: seconds, bytes and operations of a call, and its share of the roof."""

    kernel: str
    level: str
    num_qubits: int
    seconds: float
    bytes: float
    flops: float
    roof_share: float

    def __str__(self) -> str:
        return (
            f"{self.kernel:22} {self.level:7} {self.num_qubits:2d} {self.seconds * 1e3:10.4f} "
            f"{self.bandwidth / 1e9:7.1f} {self.rate / 1e9:8.2f} {self.intensity:7.2f} {self.roof_share:8.2f}"
        )

    @property
    def bandwidth(self) -> float:
        return self.bytes / self.seconds

    @property
    def rate(self) -> float:
        return self.flops / self.seconds

    @property
    def intensity(self) -> float:
        return self.flops / self.bytes


@numba.njit(nogil=True, fastmath=True)
def _stream(a, b, c, factor):
    for i in range(a.shape[0]):
        a[i] = b[i] + factor * c[i]


@numba.njit(nogil=True, fastmath={"contract"})
def _multiply_add(values, factor):
    for i in range(values.shape[0]):
        t = values[i]
        for _ in range(_CHAIN):
            t = t * factor + factor
        values[i] = t


@functools.cache
def _loop(kernel: Callable[..., object]) -> Callable[[tuple[object, ...], int], None]:
    """`kernel` called again and again inside one call, which alone takes microseconds."""

    @numba.njit(nogil=True)
    def loop(arguments, repeats):
        for _ in range(repeats):
            kernel(*arguments)

    return loop


def shortest(kernel: Callable[..., object], arguments: tuple[object, ...], budget: float) -> float:
    """Shortest processor time of a call, from rounds of calls that fill `budget` seconds."""
    repeated = _loop(kernel)
    repeats = 1
    repeated(arguments, 1)
    while (spent := _time(repeated, arguments, repeats)) < min(1e-3, budget):
        repeats *= 4
    best, total = spent, spent
    while total < budget:
        spent = _time(repeated, arguments, repeats)
        best, total = min(best, spent), total + spent
    return best / repeats


def _time(repeated: Callable[..., None], arguments: tuple[object, ...], repeats: int) -> float:
    start = time.thread_time()
    repeated(arguments, repeats)
    return time.thread_time() - start


def speeds(sizes: dict[str, int], budget: float) -> tuple[dict[str, float], float]:
    """Bytes per second streamed from every level, and operations per second of multiply-adds."""
    streams = {}
    for level, n in sizes.items():
        a, b, c = np.ones((3, max(64, (2 << n) // 3)))
        streams[level] = 24 * len(a) / shortest(_stream, (a, b, c, 0.5), budget)
    values = np.ones(512)
    return streams, 2 * _CHAIN * len(values) / shortest(_multiply_add, (values, 0.5), budget)


Case = tuple[Callable[..., object], tuple[object, ...], float, float]


def cases(n: int) -> dict[str, Case]:
    """Per kernel: the kernel, its arguments on n qubits, the bytes it moves, and its operations."""
    size, chunks = 1 << n, (1 << n) // CHUNK
    rng = np.random.default_rng(n)
    state, other = rng.normal(size=(2, 2, size)) / np.sqrt(size)
    whole, dual = Amplitudes(*state), Amplitudes(*other)
    real = np.zeros(size)
    x = (np.uint64(1) << np.arange(n, dtype=np.uint64)).astype(np.uint64)
    ladder = x | x >> np.uint64(1)
    angle = rng.normal(size=n)
    rotations = Rotations.by(angle, x, x)
    both = 32.0 * size  # a state read and written

    def rotation(k: int) -> Case:
        items = rotation_kernels.num_items(x[k], size)
        return rotation_kernels.rotate, (whole, rotation_at(rotations, k), 0, items), both, 7.0 * size

    basis = x[: n - CHUNK_BITS][:_TILE].copy()
    rows, end = Rows(ROW_BITS, CHUNK, CHUNK), CHUNK_BITS + len(basis)
    in_tiles = (whole, rows, rotations, CHUNK_BITS, end, basis, 0, chunks >> len(basis))
    stages = Stages(start=np.array([0, n]), diagonal=np.zeros(1, dtype=bool))
    sweep = (state, other, rotations, stages, np.ones(n, dtype=bool), np.zeros(n))
    overlap = rotation_at(rotations._replace(z=np.roll(ladder, -1)), n - 1)
    found: dict[str, Case] = {
        "rotation, rows": rotation(n - 1),
        "rotation, runs of 32": rotation(5),
        "rotation, shuffled": rotation(0),
        "rotations in tiles": (tiles.run_tiles, in_tiles, both, 7.0 * size * len(basis)),
        "diagonal layer": (
            diagonal.turn_diagonal,
            (whole, rotations._replace(z=ladder), 0, n, 0, chunks),
            both,
            (6.0 + 7.0 * 7) * size,  # seven different parts on the low six qubits
        ),
        "overlap": (strings.imaginary_overlap, (dual, whole, overlap, 0, chunks), both, 5.0 * size),
        "weights": (diagonal.weights, (state, real, 0, size), 24.0 * size, 3.0 * size),
        "Walsh transform": (_transform, (real,), 16.0 * size, float(n) * size),
        "reverse sweep": (sweeps.backward, sweep, 3 * both * n, 19.0 * size * n),
    }
    few = n - (_LANES.bit_length() - 1)
    lanes = Amplitudes(*rng.normal(size=(2, size)))
    turns = (lanes, size // _LANES, _LANES, _LANES, rotations, 0, few, False)
    found["rotations of lanes"] = (tangents._turn_lanes, turns, both, 7.0 * size * few)
    return found


@numba.njit(nogil=True)
def _transform(values):
    if values.shape[0] <= diagonal.BLOCK:
        diagonal.walsh(values)
    else:
        diagonal.walsh_blocks(values, 0, values.shape[0] // diagonal.BLOCK)
        diagonal.walsh_across(values, 32, 0, diagonal.BLOCK // 32)


def gram(budget: float) -> dict[str, float]:
    """The Gram matrix of derivative states, which is BLAS's work: operations per second by the number of states."""
    rates = {}
    for lanes in (32, 64, 96, 128):
        rows = np.ones((1 << 13, lanes))
        start, best = time.thread_time(), np.inf
        while time.thread_time() - start < budget:
            before = time.thread_time()
            rows.T @ rows
            best = min(best, time.thread_time() - before)
        rates[str(lanes)] = (lanes + 1) * rows.size / best
    return rates


def measure(smoke: bool) -> dict[str, Any]:
    sizes, budget = (SMOKE, 0.002) if smoke else (SIZES, 0.5)
    with _controller().limit(limits=1, user_api="blas"):
        streams, peak = speeds(sizes, budget)
        products = gram(budget)
    points = []
    print(f"{'kernel':22} {'level':7} {'n':>2} {'ms':>10} {'GB/s':>7} {'GFlop/s':>8} {'flop/B':>7} {'of roof':>8}")
    for level, n in sizes.items():
        chosen = islice(cases(n).items(), FEW if smoke else None)
        for name, (kernel, arguments, moved, flops) in chosen:
            seconds = shortest(kernel, arguments, budget)
            roof = min(peak, flops / moved * streams[level])
            points.append(Point(name, level, n, seconds, moved, flops, flops / seconds / roof))
            print(points[-1], flush=True)
    return {"stream": streams, "multiply_add": peak, "gram": products, "kernels": [asdict(p) for p in points]}


def judge(data: dict[str, Any]) -> list[Verdict]:
    return list(_verdicts(data))


def _verdicts(data: dict[str, Any]) -> Iterator[Verdict]:
    points = [Point(**kept) for kept in data["kernels"]]
    alone = {p.level: p for p in points if p.kernel == "rotation, rows"}
    inside = {p.level: p for p in points if p.kernel == "rotations in tiles"}
    cached = [alone[level] for level in ("L2", "L3") if level in alone]
    yield Verdict(
        f"a rotation of whole rows reaches {_NEAR:.0%} of its roof in L2 and L3",
        all(point.roof_share >= _NEAR for point in cached),
        ", ".join(f"{point.level} {point.roof_share:.0%}" for point in cached),
    )
    if "memory" in alone:
        apart, tiled = (_nanoseconds(found["memory"]) for found in (alone, inside))
        yield Verdict(
            "from memory a rotation takes less time in tiles than by itself",
            tiled < apart,
            f"{tiled:.2g} ns an amplitude, by itself {apart:.2g}",
        )
    streams = ", ".join(f"{level} {stream / 1e9:.0f}" for level, stream in data["stream"].items())
    yield Verdict("the machine", None, f"{data['multiply_add'] / 1e9:.3g} GFlop/s, streams in GB/s: {streams}")
    rates = ", ".join(f"{lanes} {rate / 1e9:.3g}" for lanes, rate in data["gram"].items())
    yield Verdict("the Gram matrix of derivative states by their number", None, f"GFlop/s: {rates}")
    for name in dict.fromkeys(point.kernel for point in points):
        own = [point for point in points if point.kernel == name]
        shares = ", ".join(f"{point.level} {point.roof_share:.0%}" for point in own)
        yield Verdict(f"{name}, share of the roof", None, shares)


def _nanoseconds(point: Point) -> float:
    """Of one rotation for one amplitude."""
    return 7e9 * point.seconds / point.flops


def draw(data: dict[str, Any]) -> Figure:
    points, streams, peak = [Point(**kept) for kept in data["kernels"]], data["stream"], data["multiply_add"]
    figure, axes = plt.subplots(figsize=(8, 5.5), constrained_layout=True)
    intensity = np.geomspace(0.05, 50, 200)
    for color, (level, stream) in enumerate(streams.items()):
        roof = np.minimum(peak, intensity * stream)
        axes.loglog(intensity, roof / 1e9, f"C{color}", lw=1, label=f"{level}: {stream / 1e9:.0f} GB/s")
    markers = dict(zip(dict.fromkeys(p.kernel for p in points), "os^vDP*X<>p", strict=False))
    for point in points:
        color = list(streams).index(point.level)
        axes.plot(point.intensity, point.rate / 1e9, markers[point.kernel], color=f"C{color}")
    for name, marker in markers.items():
        axes.plot([], [], marker, color="gray", label=name)
    axes.set_xlabel("operations per byte")
    axes.set_ylabel("GFlop/s, one thread")
    axes.legend(fontsize=7, ncol=2)
    return figure


EXPERIMENT = Experiment(
    "roofline",
    "Each kernel of the exact engine between what the machine streams and what it multiplies, on one thread",
    "a minute",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
