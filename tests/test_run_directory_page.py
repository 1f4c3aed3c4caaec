"""docs/run-directory.md does what it says: its code is run as it stands there."""

import json
import sqlite3

import numpy as np

import qngd
from qngd.run.directory.schema import APPLICATION, FORMAT, TABLES, columns
from tests.pages import DOCS, shown

PAGE = DOCS / "run-directory.md"


def test_the_page_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = shown("run-directory.md")
    assert page.run.steps == page.result.steps == 6
    expected = qngd.minimize(page.circuit, page.observable, page.theta0, shots=200, seed=1, max_steps=6)
    assert np.array_equal(page.run.history, expected.history)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("max_steps -")
    assert "6 " + repr(float(expected.history[-1])) in "\n".join(lines)


def test_the_page_tells_of_every_table():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"\n`{name}`\n: " in text for name in TABLES)
    assert f"{APPLICATION:#X}".replace("X", "x") in text
    assert f"version of this format, {FORMAT})" in text


def test_checksums_are_what_the_page_says(tmp_path):
    """By a reading of the page alone."""
    from hashlib import blake2b

    circuit = qngd.CircuitBuilder(1)
    circuit = circuit.ry(circuit.parameter("a"), 0)
    qngd.minimize(circuit, {"Z": 1.0}, [0.3], shots=10, seed=1, max_steps=1, run_dir=tmp_path)
    file, total, count = sqlite3.connect(tmp_path / "run.sqlite"), 0, 0
    for table in TABLES:
        for row, *values, stored in file.execute(f"SELECT row, {', '.join(columns(table))}, sum FROM {table}"):
            digest = blake2b(f"{table} {row}".encode(), digest_size=16)
            for value in values:
                digest.update(as_the_page_says(value))
            assert digest.digest() == stored
            total, count = (total + int.from_bytes(stored, "big")) % 2**128, count + 1
    assert file.execute("SELECT rows, total FROM seal").fetchone() == (count, total.to_bytes(16, "big"))
    (versions,) = file.execute("SELECT versions FROM sessions").fetchone()
    assert json.loads(versions)["qngd"] == qngd.__version__
    file.close()


def as_the_page_says(value):
    if value is None:
        return b"n"
    if isinstance(value, float):
        return b"f" + np.array(value + 0.0, dtype="<f8").tobytes()
    if isinstance(value, int):
        return b"i" + value.to_bytes(8, "little", signed=True)
    content = value.encode() if isinstance(value, str) else value
    return (b"t" if isinstance(value, str) else b"b") + len(content).to_bytes(8, "little") + content


def test_the_end_of_a_state_is_kept_as_the_page_says(tmp_path):
    """By a reading of the page alone."""
    from hashlib import sha256

    circuit = qngd.CircuitBuilder(1)
    circuit = circuit.ry(circuit.parameter("a"), 0)
    states = qngd.excited_states(
        circuit, 2, {"Z": 1.0, "X": 0.5}, [0.3], shots=50, seed=1, max_steps=2, run_dir=tmp_path
    )
    assert not (tmp_path / "state-0" / "energy.json").exists()
    row = json.loads((tmp_path / "state-1" / "energy.json").read_text(encoding="utf-8"))
    assert row.pop("sum") == sha256(json.dumps(row).encode()).hexdigest()
    first, second = row["first"], row["second"]
    (found,) = (state for state in states if state.energy == first["value"])
    assert (first["stderr"], second["value"][0]) == (found.stderr, found.overlaps.min())
    assert second["stderr"][0] == found.overlaps_stderr.max()
    assert row["cost"]["shots"] == 3 * 50  # Z, X and the overlap
