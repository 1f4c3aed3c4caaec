"""Texts of other people's code without what looks like a secret: a provider's error may quote the request that failed,
with its token, and messages are kept in run directories."""

from __future__ import annotations

import re

_HIDDEN = "***"
_NAMES = (
    r"(?:[a-z0-9]+[_-])*(?:token|api[_-]?key|apikey|access[_-]?key|key[_-]?id|secret|passwd|password|credentials?|"
    r"authorization|signature|session[_-]?id)"
)
_PATTERNS = (
    # https://user:password@host
    (re.compile(r"(://)[^/\s@'\"]+@"), rf"\1{_HIDDEN}@"),
    # Authorization: Bearer abc, also without the name
    (re.compile(r"(?i)\b(bearer|basic|apikey)(\s+)(?!failed|error|is\b|was\b)[\w.~+/=-]{8,}"), rf"\1\2{_HIDDEN}"),
    # token=abc, "api_key": "abc", X-Auth-Token: abc
    (
        re.compile(rf"(?i)\b({_NAMES})(['\"]?\s*[:=]\s*['\"]?)(?!bearer\b|basic\b|apikey\b)[^\s'\"&,;)}}\]]+"),
        rf"\1\2{_HIDDEN}",
    ),
)


def scrubbed(text: str) -> str:
    """The text with stars in the place of tokens, keys and passwords that stand beside their names, or in a URL.

    >>> scrubbed("401 for https://api.example.org/jobs?token=abc&limit=3")
    '401 for https://api.example.org/jobs?token=***&limit=3'
    """
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text
