"""The functions that docs/architecture.md names from `minimize` down to a kernel, against what calls what."""

import sys
from pathlib import Path

import numpy as np
import pytest

import qngd
from tests.pages import blocks
from tests.strategies import ansatz

HOME = Path(qngd.__file__).parent
CALLS = blocks("architecture.md", "text")
SETTINGS = [{"optimizer": qngd.QNG(approx="block-diag")}, {"shots": 100, "seed": 1}]


def named(block):
    """Of each line the function with its file, and the same of the line that it stands under."""
    above = []
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, file, *_ = line.split()
        above[depth:] = [(file, name)]
        yield above[-1], above[-2] if depth else None


def called(wanted, **settings):
    """Each of these functions that a run calls, with one from which it was called, however far above."""
    names = {(str(HOME / file), name): (file, name) for file, name in wanted}
    found = set()

    def look(frame, event, _):
        own = names.get((frame.f_code.co_filename, frame.f_code.co_name))
        if event == "call" and own is not None:
            found.add((own, None))
            while (frame := frame.f_back) is not None:
                found.add((own, names.get((frame.f_code.co_filename, frame.f_code.co_name))))

    circuit = ansatz(3, 1)
    theta = np.linspace(0.1, 1.1, circuit.num_parameters)
    before = sys.getprofile()
    sys.setprofile(look)
    try:
        qngd.minimize(circuit, {"ZZI": 1.0, "IXY": -0.5}, theta, max_steps=1, **settings)
    finally:
        sys.setprofile(before)
    return found


@pytest.mark.parametrize(("block", "settings"), list(zip(CALLS, SETTINGS, strict=True)))
def test_each_is_called_from_what_stands_above_it(block, settings):
    pairs = list(named(block))
    found = called([one for one, _ in pairs], **settings)
    assert not [pair for pair in pairs if pair not in found]


def test_a_wrong_order_is_seen():
    upside_down = [("run/loop.py", "minimize"), ("qng.py", "step")]
    assert (upside_down[0], upside_down[1]) not in called(upside_down)
