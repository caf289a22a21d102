"""Who is let in: a browser of this machine that came by the address it was given, and whoever has the token.

    on this machine, no token     everybody here may read, nobody may change anything
    on this machine, a token      everybody here may read, who has the token may cancel and decide
    reachable from elsewhere      a token is required, for reading too; the page itself says nothing

A page of another site cannot ask in a browser's name: the name of the host has to be one of ours (a foreign name that resolves to this machine is
refused), and what changes something has to come from the dashboard's own page, with the token, which no browser sends by itself.
"""

import hmac
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse

from surefoot.errors import BadInput
from surefoot.serving.listening import is_loopback

LEAST_TOKEN = 16
"""Characters of a token: as many as nobody guesses."""
CROSS = ("cross-site", "same-site")
"""What browsers say of a request (Sec-Fetch-Site) that another site made."""


class Access:
    """The rule for one address; raises `BadInput` for one that would let strangers in."""

    def __init__(self, host: str, token: str | None = None) -> None:
        if token is not None and (len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable()):
            raise BadInput(
                f"a token has at least {LEAST_TOKEN} printable ASCII characters: `openssl rand -hex 16` prints one"
            )
        self.open = is_loopback(host)
        """Whether reading needs no token."""
        if not self.open and token is None:
            raise BadInput(
                f"the address {host!r} can be reached from other machines, and what jobs say is not for everybody: give a --token, or listen on 127.0.0.1"
            )
        self._token = token
        # A server on all addresses has no name of its own; there nothing is told without the token.
        self._hosts = {"localhost", "127.0.0.1", "::1", host} if self.open else None

    @property
    def controls(self) -> bool:
        """Whether anybody may change anything."""
        return self._token is not None

    def refusal(self, request: Request, *, changes: bool = False, page: bool = False) -> JSONResponse | None:
        """Return the answer for a request that is not let in, None for one that is; `page` is the page itself."""
        if self._hosts is not None and _name(request.headers.get("host", "")) not in self._hosts:
            return _no(421, "this is a dashboard of another address: use the one that it printed")
        if page:
            return None
        if request.headers.get("sec-fetch-site", "") in CROSS:
            return _no(403, "another site may not ask here")
        if changes and not self.controls:
            return _no(403, "this dashboard only reads: start it with --token to cancel and decide")
        if changes and not _is_own(request):
            return _no(403, "only the dashboard's own page may change anything")
        if (changes or not self.open) and not self._has_token(request):
            return _no(401, "the token is missing, or another one")
        return None

    def _has_token(self, request: Request) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        assert self._token is not None
        return kind.lower() == "bearer" and hmac.compare_digest(given.encode(), self._token.encode())


def _is_own(request: Request) -> bool:
    """Whether a request came from a page of the address that it went to; in front of it there may be a proxy that speaks TLS."""
    scheme, _, origin = request.headers.get("origin", "").partition("://")
    return scheme in ("http", "https") and origin == request.headers.get("host")


def _no(status: int, why: str) -> JSONResponse:
    return JSONResponse({"error": why}, status)


def _name(host: str) -> str:
    """Return the name in a Host header, without its port; "" if it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
