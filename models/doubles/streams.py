"""How the server double streams what a thinking double writes: token by token, while the client listens."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from aiohttp import web

from surefoot.models.streaming import Draw, Token, parser
from surefoot.models.tags import Split
from surefoot.voting.samples import Sample

from .calls import called, called_pieces
from .replies import Body, choice, pieces, usage
from .response_shapes import Quirk, Telling
from .thinking import ThinkingDouble

ThoughtField = Literal["content", "reasoning", "reasoning_content"]
"""Where thoughts come in chat: as they are written, tags included, or told apart in a field of this name."""


async def send_live(
    request: web.Request,
    body: Body,
    double: ThinkingDouble,
    style: ThoughtField,
    seed: int,
    *,
    breaks_after: int | None,
    room: int,
    as_vllm: bool,
    telling: Telling,
) -> web.StreamResponse:
    """Stream one sample of at most `room` tokens; the connection is cut after `breaks_after`, if that is given.

    `as_vllm`: a chat with stop strings holds text back for them, and what is held when the thoughts end comes out as answer.
    """
    draw = _draw(body, double, seed)
    draw = replace(draw, max_tokens=min(draw.max_tokens, room))
    tokens, finish = double.written(draw)
    prompt_tokens = double.count(f"{draw.prompt}{draw.begun}")
    longest = max(map(len, draw.stop), default=0)
    parses = as_vllm and body.messages is not None and style != "content"
    held = _Held(longest - 1) if parses and longest > 1 else None
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    parsed = parser(draw)
    for number, token in enumerate(tokens):
        if number == breaks_after:
            if request.transport:
                request.transport.abort()
            return response
        await asyncio.sleep(double.token_s)
        splits = _pairs(parsed.feed(token.text))
        if held:
            splits = held.feed(token.text, parsed.thinking)
        so_far = _usage(prompt_tokens, number + 1) if body.continuous_usage else None
        for said in _said(body, style, token, splits):
            await response.write(telling.piece(said, so_far))
    for said in _said(body, style, None, held.end() if held else _pairs(parsed.end())):
        await response.write(telling.piece(said))
    last: dict[str, object] = {"text": ""} if body.messages is None else {"delta": {}}
    await response.write(telling.piece({"index": 0, "finish_reason": finish, **last}))
    await response.write(telling.end(_usage(prompt_tokens, len(tokens))))
    await response.write_eof()
    return response


async def send_at_once(
    request: web.Request,
    body: Body,
    samples: Sequence[Sample],
    telling: Telling,
    quirks: Collection[Quirk] = (),
) -> web.StreamResponse:
    """Send samples, whole or as a stream; where tools were offered, with their calls in fields of their own."""
    counted = usage(body, samples)
    if not body.stream:
        whole = [
            called(body, index, sample, quirks)
            or choice(body, index, sample.text, sample.finish, sample.logprob)
            for index, sample in enumerate(samples)
        ]
        return telling.whole(whole, counted)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    told = called_pieces(body, samples, quirks) if body.tools else pieces(body, samples)
    for piece in told:
        await response.write(telling.piece(piece))
    await response.write(telling.end(counted))
    await response.write_eof()
    return response


def _pairs(splits: list[Split]) -> list[tuple[str, str]]:
    return [(split.thought, split.text) for split in splits]


def _usage(prompt: int, completion: int) -> dict[str, object]:
    return {"prompt_tokens": prompt, "completion_tokens": completion}


class _Held:
    """The text that vLLM holds back for stop strings, labelled by what the model is at when it is sent."""

    def __init__(self, length: int) -> None:
        self.length = length
        self._text = ""
        self._thinking = False

    def feed(self, text: str, thinking: bool) -> list[tuple[str, str]]:
        """Return (thought, answer) of what is sent now."""
        self._text, self._thinking = self._text + text, thinking
        sent, self._text = self._text[: -self.length], self._text[-self.length :]
        return self._told(sent)

    def end(self) -> list[tuple[str, str]]:
        """Return the same of the rest."""
        return self._told(self._text)

    def _told(self, text: str) -> list[tuple[str, str]]:
        return [(text, "") if self._thinking else ("", text)]


def _draw(body: Body, double: ThinkingDouble, seed: int) -> Draw:
    """Read a request as a draw; in text, what the model has begun is what comes from the opening tag on."""
    (prompt,) = body.prompts()
    begun = ""
    if isinstance(prompt, str):
        before, tag, after = prompt.partition(double.tags.open)
        prompt, begun = before, after if double.tags.opened else tag + after
    elif body.continue_final_message:
        prompt, begun = prompt[:-1], prompt[-1].content
    return Draw(
        prompt=prompt,
        temperature=body.temperature,
        max_tokens=body.limit,
        seed=seed,
        begun=begun,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop),
        top_logprobs=body.top_logprobs or int(body.logprobs or 0),
        logit_bias=tuple((int(token), bias) for token, bias in body.logit_bias.items()),
        thinking_budget=body.thinking_token_budget,
        think=body.chat_template_kwargs.get("enable_thinking"),
        tags=double.tags,
    )


def _said(
    body: Body, style: ThoughtField, token: Token | None, told: list[tuple[str, str]]
) -> Iterator[dict[str, object]]:
    """Yield the choices that tell one token; None stands for what the parser still held."""
    logprobs = _logprobs(body, token) if token and (body.logprobs or body.top_logprobs) else None
    said: dict[str, object] = {"index": 0, "finish_reason": None, "logprobs": logprobs}
    if body.messages is not None and style != "content":
        for thought, text in told or ([("", "")] if token else []):
            yield {**said, "delta": {style: thought} if thought else {"content": text}}
    elif token:
        yield {
            **said,
            **({"text": token.text} if body.messages is None else {"delta": {"content": token.text}}),
        }


def _logprobs(body: Body, token: Token) -> dict[str, object]:
    if body.messages is None:
        return {"tokens": [token.text], "token_logprobs": [token.logprob], "top_logprobs": [dict(token.top)]}
    tops = [{"token": text, "logprob": logprob} for text, logprob in token.top]
    return {"content": [{"token": token.text, "logprob": token.logprob, "top_logprobs": tops}]}
