"""What the package tells the standard library's `logging`, under the name "qngd"; nothing is shown unless the user asks
for it: `logging.basicConfig(level=logging.INFO)`."""

from __future__ import annotations

import logging

logger = logging.getLogger("qngd")
logger.addHandler(logging.NullHandler())
