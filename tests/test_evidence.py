"""What is recorded was judged by the code that is here, and the pages made of it are up to date."""

import importlib
import json
from dataclasses import asdict

import pytest

from experiments import index, record

RECORDS = sorted(record.EVIDENCE.glob("*.json"))
FOLDER = record.ROOT / "experiments"


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_record_is_judged_the_same_today(path):
    pytest.importorskip("qiskit")
    pytest.importorskip("pennylane")
    kept = json.loads(path.read_text(encoding="utf-8"))
    experiment = importlib.import_module(f"experiments.{path.stem}").EXPERIMENT
    assert (experiment.name, experiment.title) == (path.stem, kept["title"])
    assert [asdict(verdict) for verdict in experiment.judge(kept["data"])] == kept["verdicts"]


def test_pages_are_made_from_the_records():
    wanted = index.pages(index.records())
    assert {index.PAGE, index.README} < set(wanted)  # and those that show a single record
    for path, text in wanted.items():
        assert path.read_text(encoding="utf-8") == text, path


def test_every_record_is_made_by_a_module_and_every_other_command_is_named():
    commands = {
        path.stem for path in FOLDER.glob("*.py") if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    }
    assert {path.stem for path in RECORDS} <= commands
    page = index.PAGE.read_text(encoding="utf-8")
    assert not [name for name in commands - {"index"} if f"`{name}`" not in page and f"[{name}]" not in page]


def test_a_line_of_a_verdict_begins_no_list_of_its_own():
    found = "word " * 22 + "- 3. * text " * 12
    lines = index._verdicts({"verdicts": [{"claim": "claim", "holds": True, "found": found}]})
    assert lines[0].startswith("- **Holds**: claim: word")
    assert all(line.startswith("  ") and line[2:3] not in "-*3" for line in lines[1:])
    assert " ".join(line.strip() for line in lines).replace("\\", "").endswith(found.strip()[-60:])


def test_every_record_has_its_command_and_stamp():
    for kept in index.records().values():
        assert kept["command"].startswith("python -m experiments.")
        assert kept["commit"]
        assert kept["date"]
        assert kept["versions"]["qngd"]


def test_check_fails_where_a_claim_does(tmp_path, monkeypatch, capsys):
    def judge(data):
        return [record.Verdict("it is small", data["size"] < 3, str(data["size"]))]

    experiment = record.Experiment(
        "size", "Sizes are small", "no time", lambda smoke: {"size": 2 if smoke else 5}, judge
    )
    monkeypatch.setattr(record, "EVIDENCE", tmp_path)
    record.main(experiment, [])
    assert "FAILS  it is small: 5" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        record.main(experiment, ["--check"])
    assert caught.value.code == 1
    monkeypatch.chdir(tmp_path)
    record.main(experiment, ["--smoke"])
    assert json.loads((tmp_path / "results/size/size.json").read_text())["verdicts"][0]["holds"]
