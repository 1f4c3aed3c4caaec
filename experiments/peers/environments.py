"""The peers' virtual environments, .bench/<peer>, each with what requirements/<peer>.txt pins."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".bench"


class BuildError(Exception):
    """pip could not install what a peer needs; the text is what it said."""


def python_of(peer: str) -> Path:
    """The Python of a peer's environment, which is made where it is missing or its requirements have changed.

    Raises:
        BuildError: the environment could not be made.
    """
    requirements = ROOT / "experiments" / "peers" / "requirements" / f"{peer}.txt"
    folder = CACHE / peer
    python, stamp = folder / "bin" / "python", folder / "requirements.sha256"
    wanted = hashlib.sha256(sys.version.encode() + requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    _run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(requirements)])
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(done.stderr.strip() or done.stdout.strip())
