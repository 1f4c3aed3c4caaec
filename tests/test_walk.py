"""The tracer of a newcomer's walk: what it counts, on files made for it."""

import importlib.util

from tools.walk import Walk


def _load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_calls_into_another_file_are_counted_and_returns_are_not(tmp_path):
    (tmp_path / "below.py").write_text("def leaf(x):\n    return x\n\ndef twice(x):\n    return leaf(leaf(x))\n")
    (tmp_path / "above.py").write_text(
        "def walk(below):\n"
        "    found = [below.leaf(x) for x in range(3)]\n"  # three changes; the comprehension is none
        "    return sorted(found, key=below.leaf), below.twice(1)\n"  # three more, through a builtin; and one
    )
    above, below = _load(tmp_path / "above.py"), _load(tmp_path / "below.py")
    walk = Walk(tmp_path)
    walk.begin()
    above.walk(below)
    walk.end()
    assert walk.files == ["above.py", "below.py"]
    assert dict(walk.changes) == {("above.py", "below.py"): 7}
