"""Where each kernel of the exact engine stands between what the machine streams and what it multiplies.

Claim: measured in one run, on one thread, for states in every level of the memory: how fast this machine streams
(a[i] = b[i] + s·c[i]) and multiplies and adds (chains in registers), and for each of our main kernels the bytes it
must move and the operations it must do, its time, and its share of the roof min(peak, intensity × stream).

    python -m experiments.roofline            about a minute; results/roofline/kernels.json and roofline.png
    python -m experiments.roofline --smoke    a few seconds

Expected, on one of two shared cores of an AMD EPYC (Zen 4), 59 GFlop/s and 230/113/94/29 GB/s in L1/L2/L3/memory: a
rotation takes 0.25 ns an amplitude in L2 and L3, where the stream bounds it, 0.9 ns where partners must be shuffled
inside a row of 64, and 0.5 ns in memory; in tiles 0.4 ns each there, whatever the stream. The Walsh transform reaches
a tenth of its roof: its additions depend on each other. The Gram matrix of 96 derivative states runs at 27 GFlop/s.

Times are the shortest of several, in processor time of the thread, so that other work on the machine disturbs them
little. Bytes count every array once per pass, operations are those of the formulas (signs included). The stream's
bytes are counted likewise, without the line that a store reads first, so that a kernel in place may exceed its roof.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numba
import numpy as np

from qngd._system.threads import _controller
from qngd.exact.kernels import diagonal, strings, sweeps, tangents, tiles
from qngd.exact.kernels import rotations as rotation_kernels
from qngd.exact.kernels.layout import CHUNK, CHUNK_BITS, ROW_BITS, Amplitudes, Rotations, Rows, Stages, rotation_at

OUT = Path("results/roofline")
SIZES = {"L1": 9, "L2": 13, "L3": 18, "memory": 22}  # qubits; one state is 16·2ⁿ bytes
SMOKE = {"L1": 8}
_CHAIN = 16  # multiply-adds per load
_LANES = 32
_TILE = 8  # directions of a tile


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


def machine(sizes: dict[str, int], budget: float) -> tuple[dict[str, float], float]:
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


def draw(points: list[Point], streams: dict[str, float], peak: float, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5.5), constrained_layout=True)
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
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small sizes, to show that it runs")
    smoke = parser.parse_args().smoke
    sizes, budget = (SMOKE, 0.002) if smoke else (SIZES, 0.5)
    with _controller().limit(limits=1, user_api="blas"):
        streams, peak = machine(sizes, budget)
        products = gram(budget)
    shown = ", ".join(f"{level} {stream / 1e9:.0f}" for level, stream in streams.items())
    print(f"multiply-add {peak / 1e9:.1f} GFlop/s; stream, GB/s: {shown}")
    shown = ", ".join(f"{lanes}: {rate / 1e9:.1f}" for lanes, rate in products.items())
    print(f"Gram matrix by number of derivative states, GFlop/s: {shown}")
    points = []
    for level, n in sizes.items():
        for name, (kernel, arguments, moved, flops) in cases(n).items():
            seconds = shortest(kernel, arguments, budget)
            roof = min(peak, flops / moved * streams[level])
            points.append(Point(name, level, n, seconds, moved, flops, flops / seconds / roof))
    print(f"{'kernel':22} {'level':7} {'n':>2} {'ms':>10} {'GB/s':>7} {'GFlop/s':>8} {'flop/B':>7} {'of roof':>8}")
    for p in points:
        print(
            f"{p.kernel:22} {p.level:7} {p.num_qubits:2d} {p.seconds * 1e3:10.4f} {p.bandwidth / 1e9:7.1f} "
            f"{p.rate / 1e9:8.2f} {p.intensity:7.2f} {p.roof_share:8.2f}"
        )
    OUT.mkdir(parents=True, exist_ok=True)
    data = {"stream": streams, "multiply_add": peak, "gram": products, "kernels": [asdict(p) for p in points]}
    (OUT / "kernels.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
    draw(points, streams, peak, OUT / "roofline.png")
    print(f"data: {OUT / 'kernels.json'}, plot: {OUT / 'roofline.png'}")


if __name__ == "__main__":
    main()
