"""How the server double streams what a thinking double writes: token by token, while the client listens."""

import asyncio
from collections.abc import Iterator
from typing import Literal

from aiohttp import web

from ..thinking.stream import Draw, Token, parser
from .replies import Body, event
from .thinking import ThinkingDouble

Style = Literal["content", "reasoning", "reasoning_content"]
"""Where thoughts come in chat: as they are written, tags included, or told apart in a field of this name."""


async def live(
    request: web.Request,
    body: Body,
    double: ThinkingDouble,
    style: Style,
    seed: int,
    breaks_after: int | None,
) -> web.StreamResponse:
    """Stream one sample; the connection is cut after `breaks_after` tokens, if that is given."""
    draw = _draw(body, double, seed)
    tokens, finish = double.written(draw)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    told = parser(draw)
    for number, token in enumerate(tokens):
        if number == breaks_after:
            if request.transport:
                request.transport.abort()
            return response
        await asyncio.sleep(double.token_s)
        for said in _said(
            body, style, token, [(split.thought, split.text) for split in told.feed(token.text)]
        ):
            await response.write(event({"choices": [said]}))
    for said in _said(body, style, None, [(split.thought, split.text) for split in told.end()]):
        await response.write(event({"choices": [said]}))
    last: dict[str, object] = {"text": ""} if body.messages is None else {"delta": {}}
    await response.write(event({"choices": [{"index": 0, "finish_reason": finish, **last}]}))
    usage = {"prompt_tokens": double.count(f"{draw.prompt}{draw.begun}"), "completion_tokens": len(tokens)}
    await response.write(event({"choices": [], "usage": usage}))
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


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
        prompt,
        body.temperature,
        body.max_completion_tokens or body.max_tokens,
        seed,
        begun=begun,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop),
        top_logprobs=body.top_logprobs or int(body.logprobs or 0),
        logit_bias=tuple((int(token), bias) for token, bias in body.logit_bias.items()),
        thinking_budget=body.thinking_token_budget,
        think=body.chat_template_kwargs.get("enable_thinking"),
        tags=double.tags,
    )


def _said(
    body: Body, style: Style, token: Token | None, told: list[tuple[str, str]]
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
