"""One test module for each module of the package, and what they share: helpers named after what is in them, and
fixtures in `conftest`. A test module imports no other."""

from pathlib import Path

import pytest

# Helpers assert, too, and should show what was compared.
pytest.register_assert_rewrite(*(f"tests.{path.stem}" for path in Path(__file__).parent.glob("[!_]*.py")))
