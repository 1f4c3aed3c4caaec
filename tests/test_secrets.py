"""What a backend holds that is secret is nowhere: not in files, pages, logs, texts, or on the command line."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import qngd
from qngd._system.secrets import scrubbed
from qngd.backends.statevector import StatevectorSampler
from tests.command_line import qngd as command
from tests.known_runs import CIRCUIT, TERMS, THETA
from tests.toy import problem

TOKEN = "s3cr3t-t0k3n-of-an-account"


class Account:
    """What a provider's object keeps."""

    def __init__(self):
        self.token = TOKEN

    def __repr__(self):
        return f"<Account token={TOKEN!r}>"


class Secretive(StatevectorSampler):
    """A backend that holds a token in every place where one may be, and whose errors quote it."""

    name = "secretive"

    def __init__(self, fails_at=None):
        self.account, self.token, self.calls, self.fails_at = Account(), TOKEN, 0, fails_at
        self.options = {"token": TOKEN, "url": f"https://me:{TOKEN}@example.org"}

    def __repr__(self):
        return f"Secretive({self.account!r}, {self.options!r})"

    @property
    def is_local(self):
        return False

    def submit(self, *asked):
        self.calls += 1
        if self.calls == self.fails_at:
            raise ConnectionRefusedError(
                f"401 for https://me:{TOKEN}@example.org/jobs?access_token={TOKEN}&n=1 with headers "
                f"{{'Authorization': 'Bearer {TOKEN}', 'X-Api-Key': '{TOKEN}'}}, api_key={TOKEN}"
            )
        return super().submit(*asked)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("fails_at", [None, 3], ids=["good", "failing"])
def test_no_token_is_anywhere(fails_at, tmp_path, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    logger = qngd.loggers.Logging()
    how = {"shots": 50, "seed": 5, "tol": 0, "max_steps": 4}
    result = qngd.minimize(
        CIRCUIT,
        TERMS,
        THETA,
        backend=Secretive(fails_at),
        run_dir=tmp_path / "run",
        callback=logger,
        progress=True,
        **how,
    )
    assert result.status == ("max_steps" if fails_at is None else "failed")
    result.save(tmp_path / "saved")
    result.report(tmp_path / "page.html")
    qngd.compare([result, result]).report(tmp_path / "two.html")
    rows = qngd.sweep(
        problem, {"backend": {"mine": Secretive(fails_at)}}, out=tmp_path / "sweep", workers=0, shots=50, max_steps=3
    )
    stored = qngd.load(tmp_path / "run")
    with pytest.raises(qngd.SettingError) as refused:
        stored.minimize()
    said = [result, stored, stored.as_dict(), rows, refused.value, result.about, result.message, result.note]
    said += [result._repr_html_(), qngd.cost(CIRCUIT, TERMS, theta0=THETA, backend=Secretive(), shots=50)]
    for arguments in (["show"], ["show", "--json"], ["resume"], ["report"]):
        said.append(command(*arguments[:1], str(tmp_path / "run"), *arguments[1:]).output)
    said += [command("runs", str(tmp_path)).output, capsys.readouterr(), caplog.text]
    assert TOKEN not in "\n".join(f"{each} {each!r}" for each in said)
    assert TOKEN.encode() not in everything_in(tmp_path)
    if fails_at is not None:
        assert "401 for https://***@example.org/jobs?access_token=***&n=1" in result.message


def test_the_command_line_keeps_nothing_of_it(tmp_path: Path):
    """A problem file whose code fails with a token in its error."""
    file = tmp_path / "mine.py"
    file.write_text(
        f"TOKEN = {TOKEN!r}\n\ndef problem():\n    raise ValueError('401 for https://x.org?token=' + TOKEN)\n",
        encoding="utf-8",
    )
    out = command("run", str(file), "--out", str(tmp_path / "out"), "--run-dir", str(tmp_path / "kept"))
    assert out.exit_code == 1
    assert TOKEN not in out.output
    assert not (tmp_path / "out").exists() or TOKEN.encode() not in everything_in(tmp_path / "out")


def test_errors_of_other_code_are_kept_without_it(tmp_path):
    def callback(info):
        raise OSError(f"cannot post to https://me:{TOKEN}@example.org?token={TOKEN}")

    with pytest.raises(OSError, match="cannot post"):
        qngd.minimize(CIRCUIT, TERMS, THETA, shots=50, run_dir=tmp_path / "run", callback=callback)
    assert "token=***" in qngd.load(tmp_path / "run").message
    rows = qngd.sweep(failing, out=tmp_path / "sweep", workers=0)
    assert rows[0]["message"] == "ValueError: api_key=***"
    assert TOKEN.encode() not in everything_in(tmp_path)


def failing() -> qngd.Problem:
    raise ValueError(f"api_key={TOKEN}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("token: abc123", "token: ***"),
        ('{"apikey": "abc", "n": 3}', '{"apikey": "***", "n": 3}'),
        ("Authorization: Bearer abcdefgh.ij", "Authorization: Bearer ***"),
        ("https://u:p@h.org/x?aws_secret_access_key=q&b=1", "https://***@h.org/x?aws_secret_access_key=***&b=1"),
        ("X-Auth-Token=q; done", "X-Auth-Token=***; done"),
        # what is no secret stays
        ("the token is expired; get a new one", "the token is expired; get a new one"),
        ("KeyError: 'counts'", "KeyError: 'counts'"),
        ("job c1 of ibm_x failed at https://h.org/jobs/c1", "job c1 of ibm_x failed at https://h.org/jobs/c1"),
    ],
)
def test_texts_of_providers(text, expected):
    assert scrubbed(text) == expected
