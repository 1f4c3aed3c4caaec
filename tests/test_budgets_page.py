"""docs/budgets.md and the pages that it leads to do what they say."""

import shlex

import pytest

import qngd as package
from tests.command_line import qngd
from tests.pages import assert_printed, commands, shown


def test_the_page_about_budgets():
    page = shown("budgets.md")
    result = page.result
    assert result.status == "budget"
    assert "money" not in result.message
    assert "USD are left" in result.message
    assert 0 < result.cost.money <= 40
    by_hand = 0.0009 * result.cost.shots + 0.30 * result.cost.circuits
    assert abs(result.cost.money - by_hand) < 1e-9
    assert page.short.status == "budget"
    assert page.short.cost.seconds <= 2


def test_what_a_run_costs_and_what_its_budget_buys(capsys):
    page = shown("howto/see-the-price.md")
    result = package.minimize(*page.given, shots=200, seed=1, budget=page.budget, final_shots=1000)
    asked, auto, _sampled, spsa = page.price.offers
    assert asked.affordable == result.steps
    assert 0 < auto.step.shots < asked.step.shots  # its first step, as the page says
    assert spsa.step.circuits > 0
    assert f"{asked.run.money} {asked.affordable}" in capsys.readouterr().out


def test_its_command_prints_what_it_shows():
    pytest.importorskip("qiskit_ibm_runtime")
    ((command, output),) = commands("howto/see-the-price.md")
    name, *arguments = shlex.split(command)
    assert name == "qngd"
    assert_printed(qngd(*arguments).output, output, "howto/see-the-price.md")


def test_the_end_measured_again():
    page = shown("howto/measure-the-end.md")
    exact = package.expectation(page.circuit, page.energy, page.result.theta).value
    assert page.result.history.min() < exact  # as the page says
    assert page.result.energy == pytest.approx(exact, abs=4 * page.result.stderr)
