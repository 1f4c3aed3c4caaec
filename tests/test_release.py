"""What a release says of itself is one thing everywhere."""

import re
import tomllib
from pathlib import Path

import pytest

import qngd

ROOT = Path(__file__).resolve().parent.parent


def test_version_is_the_same_everywhere():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)
    assert cited is not None
    assert qngd.__version__ == declared == cited[1]


def test_no_file_of_the_release_has_a_placeholder():
    for name in ("README.md", "CITATION.cff", "SECURITY.md", "pyproject.toml", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"example\.(com|org)|TODO|FIXME|<your|YOUR-", text), name


@pytest.mark.skipif(not (ROOT / ".ci").exists(), reason="not in the sdist")
def test_workflows_call_the_scripts_that_are_here():
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert (ROOT / ".ci/run").exists()
    assert ".ci/run" in text
    promises = re.search(r"promise: \[(.*)\]", text)
    assert promises is not None
    for promise in promises[1].split(", "):
        assert (ROOT / ".ci" / promise).exists()
