"""A page in a headless Chromium, where one is installed: what it measures of itself."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

_PROBE = """<script>
const seen = {width: innerWidth, scroll: document.documentElement.scrollWidth, figures: []};
const box = text => [text.textContent, text.getBoundingClientRect()];
const beyond = (inner, outer) => inner.left < outer.left - 1 || inner.right > outer.right + 1
  || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
  && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
for (const svg of document.querySelectorAll("figure svg")) {
  const frame = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].filter(text => text.textContent.trim()).map(box);
  const overlaps = [];
  texts.forEach(([one, a], i) => texts.slice(i + 1).forEach(([other, b]) => {
    if (meet(a, b)) overlaps.push([one, other]);
  }));
  seen.figures.push({
    title: svg.parentElement.querySelector("h3").textContent, texts: texts.length, overlaps,
    outside: texts.filter(([, inner]) => beyond(inner, frame)).map(([text]) => text),
    colour: getComputedStyle(svg.querySelector("text")).fill,
  });
}
seen.ink = getComputedStyle(document.body).color;
seen.paper = getComputedStyle(document.body).backgroundColor;
document.title = JSON.stringify(seen);
</script></body>"""


def seen(page: Path, folder: Path, width: int, *, dark: bool = False) -> dict[str, Any]:
    """What a page measures in a window of this width: how far it scrolls sideways, and of each figure which texts
    overlap or lie outside."""
    assert CHROMIUM is not None
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", text).replace("</body>", _PROBE)
    probed = folder / f"probed-{width}.html"
    probed.write_text(text, encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += [f"--window-size={width},900", "--virtual-time-budget=2000"]
    command += ["--blink-settings=preferredColorScheme=0"] if dark else ["--blink-settings=preferredColorScheme=1"]
    done = subprocess.run([*command, "--dump-dom", probed.as_uri()], capture_output=True, text=True, timeout=60)
    (title,) = re.findall(r"<title>(.*?)</title>", done.stdout[:20000], re.S)[:1]
    return json.loads(html.unescape(title))
