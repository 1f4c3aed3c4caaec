"""What README and docs/ show is run and compared: the helper that does so, and that no page is left out."""

import pkgutil
import re
import shlex
from pathlib import Path

import pytest
import typer

import qngd as package
from qngd.cli.commands import app
from tests.command_line import ROOT, TOY, qngd
from tests.pages import DOCS, agrees, blocks, commands, shown, text_of

PAGES = [
    "README.md",
    *sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if "_build" not in path.parts),
]


@pytest.fixture
def page(tmp_path, monkeypatch):
    """page(text): a page with this text, by its name."""
    monkeypatch.setattr("tests.pages.DOCS", tmp_path)

    def write(text):
        (tmp_path / "page.md").write_text(text, encoding="utf-8")
        return "page.md"

    return write


@pytest.mark.parametrize(
    ("printed", "output"),
    [
        ("-1.8572750302", "−1.857275"),
        ("-1.8572750302", "-1.857276"),  # platforms differ in the last digit
        ("1.23e-05 left", "1.2e-5 left"),
        ("[[0.25  0.  ]\n [0.    0.19]]", "[[0.25 0. ] [0. 0.19]]"),
        ("320,000 shots in 82 s", "320,000 shots in 82 s"),
        ("320000 shots", "320,000 shots"),
        ("converged after 7 steps", "… after 7 steps"),
        ("a\nb\nc", "a\n…\nc"),
        ("(12,)", "(12,)"),
        ("layers=2, qml2x", "layers=2, qml2x"),
    ],
)
def test_output_that_agrees(printed, output):
    assert agrees(printed, output)


@pytest.mark.parametrize(
    ("printed", "output"),
    [
        ("-1.8572750302", "-1.857278"),
        ("1.8572750302", "-1.857275"),
        ("1.26e-05", "1.2e-6"),
        ("13 steps", "12 steps"),  # whole numbers are told to the last
        ("12 steps", "12 steps more"),
        ("12 steps more", "12 steps"),
        ("1 2", "12"),
        ("converged", "Converged"),
        ("qml3x", "qml2x"),
        ("0.5 and nan", "0.5 and 0.5"),
        ("", "0"),
    ],
)
def test_output_that_does_not(printed, output):
    assert not agrees(printed, output)


def test_arrows_tell_what_a_statement_prints(page, capsys):
    text = (
        "```python\nx = given\nprint(x)  # → 3\nfor k in range(2):\n    print(k)\n# → 0\n# → 1\nprint('later')\n```\n"
    )
    assert shown(page(text), given=3).x == 3
    assert capsys.readouterr().out == "3\n0\n1\nlater\n"
    for wrong in (text.replace("→ 3", "→ 4"), text.replace("# → 1\n", ""), text.replace("print(x)", "x")):
        with pytest.raises(AssertionError, match="shows"):
            shown(page(wrong), given=3)


def test_a_block_of_output_is_that_of_the_code_above(page):
    text = "```python\nprint('a')\nprint('b')  # → b\n```\n\n```output\na\n```\n\nAnd:\n\n```output\nanything\n```\n"
    shown(page(text))
    with pytest.raises(AssertionError, match="shows"):
        shown(page(text.replace("\na\n", "\nc\n")))
    assert shown(page("```python\nx = 1\n```\n\n```python\nx = 2\n```\n"), [0]).x == 1


def test_decorated_functions_and_comments_of_other_kinds(page):
    code = "print(1)  # one\n\n\n@staticmethod\ndef f():\n    print(2)  # → 3, where it is called\n\n\nf()\n"
    text = f"```python\n{code}```\n"
    with pytest.raises(AssertionError, match="where it is called"):
        shown(page(text))
    shown(page(text.replace("→ 3", "3")))


def test_commands_with_their_output(page):
    text = "```console\n$ qngd cost a.py --shots 3 \\\n      --steps 2\na step\n2 steps\n$ qngd doctor\n```\n"
    assert list(commands(page(text))) == [
        ("qngd cost a.py --shots 3 --steps 2", "a step\n2 steps\n"),
        ("qngd doctor", ""),
    ]


# --- no page is left out ---


TESTS = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))


@pytest.mark.parametrize("name", [name for name in PAGES if blocks(name)])
def test_the_code_of_every_page_is_run(name):
    assert re.search(rf'\b(shown|blocks)\("{re.escape(name)}"', TESTS), f"no test runs what {name} shows"


@pytest.mark.parametrize("name", PAGES)
def test_output_is_shown_where_it_is_compared(name):
    """A comment behind a print that looks like a result has an arrow; output stands below the code that prints it."""
    text = text_of(name)
    untold = re.findall(r"^.*\bprint\(.*\)  # [-−+\d(\[{'\"].*$", text, re.MULTILINE)
    assert not untold, f"{name} shows what no test compares; write # → in its place"
    lone = re.findall(r"(?<!^```\n\n)^```output$", text, re.MULTILINE)
    assert not lone, f"{name} has output that does not stand right below its code"


def lines_of_qngd(name):
    """Every call of the command on a page, in blocks of the console or set in by four spaces."""
    for block in blocks(name, "console"):
        lines = block.replace("\\\n", " ").splitlines()
        yield from (line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith("qngd "))
    outside = re.sub(r"^```.*?^```$", "", text_of(name), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"^    (qngd .*)$", outside, re.MULTILINE)


@pytest.mark.parametrize(("name", "line"), [(name, line) for name in PAGES for line in lines_of_qngd(name)])
def test_commands_are_ones_that_there_are(name, line, tmp_path, monkeypatch):
    """Parsed as they stand; those of circuits/h2.py are run for a step."""
    _, *arguments = shlex.split(line, comments=True)
    parsed(arguments)
    if arguments[1] != "circuits/h2.py" or arguments[0] not in ("run", "cost", "layers"):
        return
    pytest.importorskip("qiskit_ibm_runtime" if "--backend" in arguments else "qiskit")
    monkeypatch.chdir(tmp_path)
    short = ["--max-steps", "1"] if arguments[0] == "run" else []
    done = qngd(arguments[0], str(ROOT / arguments[1]), *arguments[2:], *short)
    assert done.exit_code == 0, done.output


def parsed(arguments):
    """What the command reads of its arguments."""
    command, (called, *own) = typer.main.get_command(app), arguments
    parent = command.make_context("qngd", list(arguments))
    return command.get_command(parent, called).make_context(called, own, parent).params


def test_the_file_of_options_is_one(tmp_path):
    (options,) = blocks("reference/cli.md", "toml")
    (tmp_path / "run.toml").write_text(options, encoding="utf-8")
    found = parsed(["run", TOY, "--config", str(tmp_path / "run.toml")])
    assert (found["max_steps"], found["seed"], found["budget_shots"]) == (50, 7, 1_000_000)
    assert found["step"] == "trust-region:radius=0.1"


@pytest.mark.parametrize("name", [name for name in PAGES if any(output.strip() for _, output in commands(name))])
def test_commands_that_show_output_are_run(name):
    assert f'commands("{name}")' in TESTS


@pytest.mark.parametrize("name", PAGES)
def test_names_of_the_package_are_there(name):
    pytest.importorskip("qiskit")
    pytest.importorskip("pennylane")
    lost = {one for one in re.findall(r"\bqngd(?:\.[A-Za-z]\w*)+", text_of(name)) if not is_there(one)}
    assert not lost


def is_there(name):
    """Whether a dotted name is a module, or what a module has."""
    try:
        pkgutil.resolve_name(name)
    except (AttributeError, ImportError):
        return False
    return True


OF_THE_HOUSE = [name for name in PAGES if name in ("architecture.md", "theory.md") or name.startswith("howto/")]
ELSEWHERE = ("circuits/", "experiments/", "tests/")


@pytest.mark.parametrize("name", OF_THE_HOUSE)
def test_files_of_the_package_are_there(name):
    home = Path(package.__file__).parent
    files = [f"/{path.relative_to(home.parent).as_posix()}" for path in home.rglob("*.py")]
    cited = [one for one in re.findall(r"`([a-z_/]+\.py)`", text_of(name)) if not one.startswith(ELSEWHERE)]
    assert not [one for one in cited if not any(file.endswith(f"/{one}") for file in files)]
