"""What the proxy answers, in the form of the OpenAI API.

What a vote came to stands in headers, `x-surefoot-...`, and in a field `surefoot` of the body, which clients pass over that do
not know it.  Of a streamed answer whose headers went out before it was decided only the field has it, in the last chunk.

| header | field | what |
| --- | --- | --- |
| `x-surefoot-vote` | `vote` | by what the answers were compared; `none` (null): no vote is claimed |
| `x-surefoot-tally` | `tally` | votes of each ballot, the winner's first |
| `x-surefoot-margin` | `margin` | its lead over the next |
| `x-surefoot-samples` | `samples` | samples drawn and paid for |
| `x-surefoot-flags` | `flags` | samples among them that were thrown away |
| `x-surefoot-risk` | `risk` | probability that the answer is wrong, from the margin; `unknown` (null) without `ProxySettings.accuracy` |
"""

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import orjson

from surefoot.errors import BadInput, SurefootError
from surefoot.models.base import ModelUnavailable
from surefoot.models.elected_answers.vote import AnswerStalled, Vote
from surefoot.models.offers import read_calls
from surefoot.models.openai.failures import RequestRefused
from surefoot.voting.samples import Usage

PREFIX = "x-surefoot-"
LONGEST_SHOWN = 500
"""Characters of a candidate that a stall tells of."""
MOST_SHOWN = 16
RETRY_AFTER_S = 1
_SERVER_SAYS_NO = (400, 404, 413, 422)
"""Refusals of the server behind that are the client's to mend."""

DONE = b"data: [DONE]\n\n"

Json = dict[str, Any]


def headers(said: Json) -> dict[str, str]:
    """Return what a vote came to, its `Vote.summary`, as headers."""
    return {
        f"{PREFIX}vote": said["vote"] or "none",
        f"{PREFIX}tally": ",".join(map(str, said["tally"])) or "none",
        f"{PREFIX}margin": "none" if said["margin"] is None else str(said["margin"]),
        f"{PREFIX}samples": str(said["samples"]),
        f"{PREFIX}flags": str(sum(said["flags"].values())),
        f"{PREFIX}risk": "unknown" if said["risk"] is None else f"{said['risk']:.2g}",
    }


def usage_of(usage: Usage) -> Json | None:
    """Return what all samples together took; None if the server behind did not say anything of it."""
    if usage.known("total") is None:
        return None
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


class ElectedReply:
    """The answer to one request, whole or in chunks."""

    def __init__(self, vote: Vote, model: str, *, chat: bool, include_usage: bool = False) -> None:
        assert vote.winner is not None
        self.summary = vote.summary()
        """What the vote came to."""
        self._vote, self._chat, self._include_usage = vote, chat, include_usage
        self._finish = vote.winner.finish
        content: str | None = vote.winner.text
        calls: list[Json] = []
        if vote.poll.ballots.offer is not None:
            prose, found = read_calls(vote.winner.text)
            calls = [
                {
                    "id": f"call_{secrets.token_hex(12)}",
                    "type": "function",
                    "function": {"name": name, "arguments": text},
                }
                for name, text in found
            ]
            content = prose if not calls or prose.strip() else None
        self.content, self.calls = content, calls
        if calls:
            self._finish = "tool_calls"
        kind = "chatcmpl" if chat else "cmpl"
        self._base: Json = {
            "id": f"{kind}-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self) -> Json:
        """Return the answer in one piece."""
        choice: Json = {"index": 0, "finish_reason": self._finish, "logprobs": None}
        if self._chat:
            message: Json = {"role": "assistant", "content": self.content, "refusal": None}
            choice["message"] = {**message, "tool_calls": self.calls} if self.calls else message
        else:
            choice["text"] = self.content
        return {
            **self._base,
            "object": "chat.completion" if self._chat else "text_completion",
            "choices": [choice],
            "usage": usage_of(self._vote.usage),
            "surefoot": self.summary,
        }

    def events(self) -> Iterator[bytes]:
        """Yield the answer as server-sent events."""
        yield from map(event, self.chunks())
        yield DONE

    def chunks(self) -> Iterator[Json]:
        """Yield the answer as a stream has it, what the vote came to in the last chunk with a choice."""
        if self._chat:
            yield self._chunk({"role": "assistant", "content": "" if self.content is not None else None})
            if self.content:
                yield self._chunk({"content": self.content})
            for place, call in enumerate(self.calls):
                yield self._chunk({"tool_calls": [{"index": place, **call}]})
            yield {**self._chunk({}, self._finish), "surefoot": self.summary}
        else:
            yield {**self._chunk({"text": self.content}, self._finish), "surefoot": self.summary}
        if self._include_usage:
            yield {**self._chunk({}), "choices": [], "usage": usage_of(self._vote.usage)}

    def _chunk(self, said: Json, finish: str | None = None) -> Json:
        choice: Json = {"index": 0, "finish_reason": finish, "logprobs": None}
        return {
            **self._base,
            "object": "chat.completion.chunk" if self._chat else "text_completion",
            "choices": [{**choice, "delta": said} if self._chat else {**choice, **said}],
        }


def event(said: Json) -> bytes:
    """Return one server-sent event, in ASCII: some clients take U+2028 or U+0085 in it for the end of a line."""
    return b"data: " + json.dumps(said, separators=(",", ":")).encode() + b"\n\n"


def encoded(said: Json) -> bytes:
    """Return a JSON body."""
    return orjson.dumps(said)


_NOT_AGAIN = {"x-should-retry": "false"}
_PAID_FOR = (409, 500, 502, 504)
"""Errors that the clients of OpenAI try again by themselves unless told not to, which would cost as much once more."""


class ApiError(Exception):
    """An error as a client is told of it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        headers: dict[str, str] | None = None,
        surefoot: Json | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {**(_NOT_AGAIN if status in _PAID_FOR else {}), **(headers or {})}
        error = {"message": message, "type": kind, "param": None, "code": code}
        self.body: Json = {"error": error} if surefoot is None else {"error": error, "surefoot": surefoot}


def busy(message: str) -> ApiError:
    """Return the error that asks a client to come back."""
    return ApiError(
        429, message, kind="rate_limit_error", code="busy", headers={"retry-after": str(RETRY_AFTER_S)}
    )


def api_error_of(error: SurefootError, vote: Vote | None = None) -> ApiError:
    """Return what a client is told of an error of the package."""
    sentence = error.sentence
    if isinstance(error, AnswerStalled) and vote is not None:
        return _stalled(error, vote)
    if isinstance(error, BadInput):
        return ApiError(400, sentence)
    if isinstance(error, RequestRefused):
        if error.status in _SERVER_SAYS_NO:
            return ApiError(400, sentence, code="refused_by_the_server")
        return ApiError(502, sentence, kind="api_error", code="refused_by_the_server")
    if isinstance(error, ModelUnavailable):
        return ApiError(503, sentence, kind="api_error", code="server_away", headers={"retry-after": "5"})
    return ApiError(500, "the proxy failed at this request", kind="api_error", code="failed")


def _stalled(stall: AnswerStalled, vote: Vote) -> ApiError:
    leading = sorted(vote.tally.items(), key=lambda pair: -pair[1])[:MOST_SHOWN]
    shown = [
        {"votes": votes, "text": vote.candidates[ballot][1].text[:LONGEST_SHOWN]} for ballot, votes in leading
    ]
    said = vote.summary()
    more = {**said, "candidates": shown, "usage": usage_of(vote.usage)}
    return ApiError(
        409,
        f"{stall.sentence} in `surefoot`",
        kind="vote_stalled",
        code="vote_stalled",
        headers=headers(said),
        surefoot=more,
    )
