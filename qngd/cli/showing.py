"""What `layers` and `cost` show, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from qngd.cli.meaning import budget_of, read_another, read_shots, with_cvar, with_start
from qngd.cli.placed import placed
from qngd.cli.spending import echo_columns
from qngd.cli.work import Opened, echo_json, echo_table
from qngd.cli.written import read_rule
from qngd.evaluators.given import read_any
from qngd.evaluators.setup import Setup
from qngd.report.circuits import describe_circuit, step_measurements
from qngd.run.pricing.cones import ConePrice
from qngd.run.pricing.planned import planned_step
from qngd.run.pricing.price import Price
from qngd.run.pricing.price import cost as price_of
from qngd.run.pricing.propagation import PropagationPrice


def show_layers(found: Opened, texts: Mapping[str, Any], as_json: bool) -> None:
    """The circuit layer by layer, and what a step measures."""
    given = found.given
    problem = with_cvar(found.problem, given, texts["cvar"])
    with found.file.blamed():
        if problem is not found.problem:
            given = read_any(problem, role="example")
        rules = _rules(texts)
        setup = Setup(texts["backend"], grouping=rules.pop("grouping"), cross=texts["cross"])
        step = planned_step(given, given.target if given.has_observable else None, setup, **rules)
    circuit, rows = given.circuit, step_measurements(step)
    if as_json:
        layers = [str(layer).splitlines() for layer in circuit.layers]
        echo_json(
            {
                "problem": found.problem.name,
                "num_qubits": circuit.num_qubits,
                "parameters": list(circuit.parameters),
                "layers": [{"about": first, "rotations": [line.strip() for line in rest]} for first, *rest in layers],
                "step": rows,
            }
        )
        return
    typer.echo(f"{found.problem.name}: {describe_circuit(circuit)}\n")
    for layer in circuit.layers:
        typer.echo(f"{layer}\n")
    typer.echo("A step measures")
    echo_table(rows, indent="  ")


def show_cost(found: Opened, texts: Mapping[str, Any], as_json: bool) -> None:
    """What a run would cost."""
    problem = with_start(with_cvar(found.problem, found.given, texts["cvar"]), texts["theta0"])
    budget = budget_of(texts)
    with found.file.blamed(), placed(texts, opens=False) as backend:
        priced = price_of(
            problem, backend=backend, shots=read_shots(texts["shots"]), cross=texts["cross"],
            steps=texts["steps"], budget=budget, final_shots=texts["final_shots"], states=texts["states"],
            restarts=texts["restarts"], optimizer=read_another(texts["optimizer"]), **_rules(texts),
        )  # fmt: skip
    if as_json:
        echo_json({"problem": found.problem.name, **price_document(priced)})
        return
    typer.echo(f"{found.problem.name}")
    echo_table(priced.rows())
    if isinstance(priced, Price):
        typer.echo()
        echo_columns(priced.table())


def price_document(priced: Price | ConePrice | PropagationPrice) -> dict[str, Any]:
    """A price as data: what a step and the run take, and other settings beside it."""
    found: dict[str, Any] = {
        "backend": priced.backend,
        "steps": priced.steps,
        "restarts": priced.restarts,
        "step": priced.step.in_units(),
        "run": priced.run.in_units(),
        "about": priced.rows(),
    }
    if isinstance(priced, Price):
        found["offers"] = [
            {
                "name": offer.name,
                "step": offer.step.in_units(),
                "run": offer.run.in_units(),
                "run_at_most": None if offer.most is None else offer.most.in_units(),
                "affordable_steps": offer.affordable,
                "affordable_steps_at_most_shots": offer.affordable_at_most_shots,
                "refused": offer.refused,
            }
            for offer in priced.offers
        ]
    else:
        found |= {"memory_bytes": priced.num_bytes, "seconds": priced.seconds, "run_seconds": priced.run_seconds}
    return found


def _rules(texts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: read_rule(name, texts[name]) for name in ("approx", "grouping", "gradient")}
