"""Extra sweep: several runs in worker processes of Dask."""

import qngd


def problem(scale=1.0):
    circuit = qngd.CircuitBuilder(1)
    circuit.ry(circuit.parameter("a"), 0)
    return qngd.Problem(circuit, {"Z": scale}, [0.3])


if __name__ == "__main__":
    rows = qngd.sweep(problem, {"scale": [1.0, 2.0]}, max_steps=20, out="sweep", workers=1)
    assert [round(row["energy"], 3) for row in rows] == [-1.0, -2.0], rows
