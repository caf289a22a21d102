"""What gets in: hosts, origins, keys, bodies, and how many of them at a time."""

import asyncio
import hmac

from starlette.requests import Request

from surefoot.serving.listening import is_loopback

from .replies import ApiError, busy
from .settings import ProxySettings


class Admission:
    """Counts the requests in flight and the bytes of their bodies."""

    def __init__(self, settings: ProxySettings) -> None:
        self._settings = settings
        self.in_flight = 0
        self.held = 0
        """Bytes of bodies that are being read, or voted on."""

    def check(self, request: Request) -> None:
        """Raise `ApiError` for a request that is not to be looked at any further."""
        key = self._settings.api_key
        if key is None:
            # Whoever reaches a server without a key from a browser does so from a page of somebody else's.
            if not is_loopback(host_of(request.headers.get("host", ""))):
                raise ApiError(
                    403, "without an API key the proxy answers on loopback alone: unknown Host", code="host"
                )
        elif not hmac.compare_digest(
            request.headers.get("authorization", "").encode(), f"Bearer {key}".encode()
        ):
            raise ApiError(
                401,
                "the API key is not that of this proxy",
                kind="authentication_error",
                code="invalid_api_key",
            )
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            raise ApiError(403, "the proxy answers no pages of other origins", code="origin")

    def enter(self) -> None:
        """Let one more request in; raises `ApiError` where there are too many."""
        if self.in_flight >= self._settings.most_requests:
            raise busy(f"{self.in_flight:,} requests are in flight, as many as are let in: try again")
        self.in_flight += 1

    async def body(self, request: Request) -> bytes:
        """Return the body of a request, which counts among what is held until `leave`; raises `ApiError` if it is too long or too slow."""
        most = self._settings.most_body
        too_long = ApiError(413, f"the body of a request has at most {most:,} bytes", code="body_too_long")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > most):
            raise too_long
        held = 0
        parts = []
        try:
            async with asyncio.timeout(self._settings.body_s):
                async for part in request.stream():
                    parts.append(part)
                    held += len(part)
                    self.held += len(part)
                    if held > most:
                        raise too_long
                    if self.held > self._settings.most_held:
                        raise busy("the requests in flight are too large together: try again")
        except TimeoutError:
            raise ApiError(408, f"no body within {self._settings.body_s:g} s", code="body_too_slow") from None
        finally:
            request.state.held = held
        return b"".join(parts)

    def leave(self, request: Request) -> None:
        """Note that a request that was let in has gone."""
        self.in_flight -= 1
        self.held -= getattr(request.state, "held", 0)


def host_of(header: str) -> str:
    """Return the host of a `Host` header without its port."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]
