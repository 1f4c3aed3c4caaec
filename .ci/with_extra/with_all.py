"""Extra all: every other extra's example, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

for path in sorted(Path(__file__).parent.glob("with_*.py")):
    if path.stem not in ("with_all", "with_none"):
        subprocess.run([sys.executable, str(path)], check=True)
