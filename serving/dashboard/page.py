"""The one page of the dashboard: its HTML, style and script in one answer, and the policy under which nothing else runs."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

STYLE, SCRIPT = "/*style*/", "/*script*/"
"""What stands in the HTML for the two."""


class Page(NamedTuple):
    """What a browser is sent."""

    html: bytes
    policy: str
    """Content-Security-Policy: the style and the script of this page by their digests, requests to its own server, and nothing else."""


@cache
def page() -> Page:
    """Put the page together from the files beside this one."""
    assets = files(__package__) / "assets"
    html, style, script = ((assets / f"page.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(html.replace(STYLE, style).replace(SCRIPT, script).encode(), policy)


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
