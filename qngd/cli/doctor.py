"""What `qngd doctor` finds: versions, threads, the cache of compiled code, backends, what is missing."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import typer

from qngd._system.threads import num_threads, usable_cores
from qngd._system.version import __version__
from qngd.cli.work import echo_json, echo_table
from qngd.errors import counted, how_to_install

_OURS = ("numpy", "scipy", "numba", "stim", "matplotlib", "rich", "typer", "threadpoolctl")
# by the extra that brings them
_MORE = {
    "qiskit": ("qiskit", "qiskit-aer", "qiskit-ibm-runtime", "openqasm3"),
    "pennylane": ("pennylane", "pennylane-lightning"),
    "cma": ("cma",),
    "sweep": ("distributed",),
}
# by the package that each needs
_BACKENDS = {
    "statevector": "numpy", "light-cone": "numpy", "aer": "qiskit-aer", "fake_…": "qiskit-ibm-runtime",
    "default.qubit": "pennylane", "lightning.qubit": "pennylane-lightning",
}  # fmt: skip


def examine(as_json: bool) -> bool:
    """Show what is here; returns whether all of it works."""
    found = findings()
    if as_json:
        echo_json(found)
    else:
        _tell(found)
    return not found["faults"]


def findings() -> dict[str, Any]:
    """What is here, as data."""
    packages = {name: _version(name) for name in (*_OURS, *(n for names in _MORE.values() for n in names))}
    cache, works = _cache(), _energy_of_one_qubit()
    faults = [] if works is True else [f"a run of one qubit failed: {works}"]
    faults += [f"{name} is missing; install qngd again" for name in _OURS if packages[name] is None]
    missing = {
        extra: {"packages": lacking, "install": how_to_install(extra)}
        for extra, names in _MORE.items()
        if (lacking := [name for name in names if packages[name] is None])
    }
    return {
        "qngd": __version__,
        "folder": str(Path(__file__).parent.parent),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": packages,
        "threads": {
            "kernels": num_threads(),
            "usable_cores": usable_cores(),
            "QNGD_NUM_THREADS": os.environ.get("QNGD_NUM_THREADS"),
        },
        "blas": _blas(),
        "cache": cache,
        "backends": [name for name, package in _BACKENDS.items() if packages[package] is not None],
        "missing": missing,
        "faults": faults,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _blas() -> list[dict[str, Any]]:
    import numpy  # noqa: F401  # which loads it
    from threadpoolctl import threadpool_info

    return [
        {name: each.get(name) for name in ("internal_api", "version", "num_threads")}
        for each in threadpool_info()
        if each.get("user_api") == "blas"
    ]


def _cache() -> dict[str, Any]:
    """Where numba keeps compiled kernels, and whether it can."""
    from qngd.exact.kernels import rotations

    kernel = next(each for each in vars(rotations).values() if hasattr(each, "_cache"))
    place = getattr(kernel._cache, "cache_path", None)  # None where numba found no folder that it may write to
    if place is None:
        return {"folder": None, "writable": False, "files": 0, "bytes": 0}
    files = [path for path in Path(place).parent.rglob("*.nb[ic]") if path.is_file()]
    return {
        "folder": str(place),
        "writable": _writable(Path(place)),
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
    }


def _writable(folder: Path) -> bool:
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _energy_of_one_qubit() -> bool | str:
    """Whether ⟨Z⟩ after RY(a) is cos a; else what went wrong."""
    from math import cos

    from qngd.api import expectation
    from qngd.interop.circuit_builder import CircuitBuilder

    try:
        circuit = CircuitBuilder(1)
        found = float(expectation(circuit.ry(circuit.parameter("a"), 0), {"Z": 1.0}, [0.3]).value)
    except Exception as error:  # of a broken installation: what it says is what is wanted
        return f"{type(error).__name__}: {error}"
    return abs(found - cos(0.3)) < 1e-12 or f"<Z> is {found}, not cos 0.3"


def _tell(found: dict[str, Any]) -> None:
    packages = {name: version for name, version in found["packages"].items() if version is not None}
    threads, cache = found["threads"], found["cache"]
    limit = threads["QNGD_NUM_THREADS"]
    rows = {
        "qngd": f"{found['qngd']} in {found['folder']}",
        "python": f"{found['python']}, {found['executable']}",
        "platform": found["platform"],
        "threads": f"{threads['kernels']} of {counted(threads['usable_cores'], 'core')}"
        + (f" (QNGD_NUM_THREADS={limit})" if limit else ""),
        "BLAS": "; ".join(
            f"{b['internal_api']} {b['version']}, {counted(b['num_threads'], 'thread')}" for b in found["blas"]
        ),
        "cache": "no folder can be written to: kernels are compiled anew in every process; set NUMBA_CACHE_DIR"
        if cache["folder"] is None
        else f"{cache['folder']}, {cache['bytes'] / 1e6:.0f} MB in {counted(cache['files'], 'file')}"
        + ("" if cache["writable"] else "; it cannot be written to: set NUMBA_CACHE_DIR"),
        "backends": ", ".join(found["backends"]),
        **packages,
    }
    echo_table(rows)
    for extra, what in found["missing"].items():
        typer.echo(f"not installed: {', '.join(what['packages'])}; {what['install']} ({extra})")
    for fault in found["faults"]:
        typer.echo(f"FAULT: {fault}")
    typer.echo("all well" if not found["faults"] else "")
