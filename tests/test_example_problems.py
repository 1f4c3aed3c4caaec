"""Adding an example problem is as its page says: the file that stands there is one."""

import importlib.util
import re

import numpy as np
import pytest

import qngd
from experiments.zoo_cases import Case, case
from tests import dense
from tests.command_line import qngd as command
from tests.pages import DOCS, blocks


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    (source,) = blocks("howto/add-an-example-problem.md")
    path = tmp_path_factory.mktemp("circuits") / "cluster_ring.py"
    path.write_text(source, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def module(example):
    spec = importlib.util.spec_from_file_location("cluster_ring", example)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_the_commands_of_the_page(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (commands,) = blocks("howto/add-an-example-problem.md", "console")
    for line in commands.splitlines():
        name, *arguments = line.split()
        assert name == "qngd"
        result = command(*(str(example) if a == "circuits/cluster_ring.py" else a for a in arguments))
        assert result.exit_code == 0, result.output
    assert "converged" in result.output


@pytest.mark.parametrize("num_qubits", [3, 5])
def test_its_reference_is_the_ground_energy_and_is_reached(module, num_qubits):
    problem = module.problem(num_qubits=num_qubits, seed=num_qubits)
    ground = np.linalg.eigvalsh(dense.observable_matrix(problem.observable))[0]
    assert problem.reference_energy == pytest.approx(ground, abs=1e-12)
    assert qngd.minimize(problem).energy == pytest.approx(ground, abs=1e-6)


def test_its_settings_are_checked(module):
    with pytest.raises(ValueError, match="num_qubits must be at least 3"):
        module.problem(num_qubits=2)


def test_its_row_in_the_zoo(module):
    text = (DOCS / "howto" / "add-an-example-problem.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"`\"cluster-ring-5\": (Case\(.*?\)\))`", text, re.DOTALL)
    built = eval(row, {"Case": Case, "case": case, "cluster_ring": module}).build
    assert built(1).theta0 != pytest.approx(built(2).theta0)
    assert built(1).reference_energy == -5
