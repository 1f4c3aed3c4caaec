"""Every option of every command with values that cannot be meant: one line that names it, and never a traceback."""

from __future__ import annotations

import json
import os

import pytest
import typer

from qngd.cli import commands as cli
from tests.command_line import TOY, qngd

COMMANDS = typer.main.get_command(cli.app).commands
AROUND = {
    "run": (TOY, "--max-steps", "0"),
    "layers": (TOY,),
    "cost": (TOY,),
    "sweep": (TOY, "--workers", "0", "--out", "sweep", "--config", "settings.toml"),
    "doctor": (),
    "plot": ("out",),
    "report": ("kept",),
    "show": ("kept",),
    "runs": (".",),
    "resume": ("kept", "--max-steps", "0"),
}
WRONG = ("nan", "-1", "1e400", "", "word", "[", "a:b=", "9" * 40)
FREE = {"title", "labels"}  # any text will do
_MEANT = {"restarts": WRONG[-1:], "workers": WRONG[-1:], "html": WRONG, "figures": WRONG}
"""Values that may be meant, and take their time."""


def options_of(name):
    return [each for each in COMMANDS[name].params if each.param_type_name == "option" and not each.is_flag]


CASES = [(name, each) for name in COMMANDS for each in options_of(name) if each.name != "help"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run and a file that is none."""
    folder, before = tmp_path_factory.mktemp("every"), os.getcwd()
    os.chdir(folder)
    assert qngd("run", TOY, "--max-steps", "1", "--out", "out", "--run-dir", "kept").exit_code == 0
    (folder / "settings.toml").write_text("max-steps = 0\n", encoding="utf-8")
    (folder / "taken").write_bytes(bytes(range(256)))
    yield folder
    os.chdir(before)


def test_every_command_is_tried():
    assert set(AROUND) == set(COMMANDS)


@pytest.mark.parametrize(("name", "option"), CASES, ids=[f"{name} {each.opts[0]}" for name, each in CASES])
def test_a_wrong_value_is_named_and_gives_no_traceback(name, option, place):
    refused = 0
    for value in (*WRONG, "taken", "taken/x"):
        if value and value in _MEANT.get(option.name, ()):
            continue
        result = qngd(name, *AROUND[name], f"{option.opts[0]}={value}")
        said = " ".join(result.output.replace("│", " ").split())
        assert result.exception is None or isinstance(result.exception, SystemExit), (value, result.exception)
        assert result.exit_code in (0, 1, 2), (value, said)
        assert "Traceback" not in said
        if result.exit_code:
            refused += 1
            known = {"--budget-*"} if option.name.startswith("budget_") else set()
            known |= {text.lstrip("-") for text in option.opts} | {option.name}
            assert any(text in said for text in known), (value, said)
    assert refused or option.name in FREE


@pytest.mark.parametrize("name", [name for name in COMMANDS if any(p.name == "as_json" for p in COMMANDS[name].params)])
def test_json_is_valid_for_every_command(name, place):
    result = qngd(name, *AROUND[name], "--json")
    assert result.exit_code == 0, result.output
    json.loads(result.stdout, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
