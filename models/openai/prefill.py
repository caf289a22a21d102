"""Conversations that have begun to be answered: how a server is made to go on from a text in the model's name."""

import httpx
from pydantic_core import to_json

from surefoot.models.base import Message, ModelUnavailable, Prompt
from surefoot.models.streaming import Draw

from .batches import Capabilities
from .exchange import Exchange, Request
from .messages import chat_messages
from .model_list import read_as, under
from .options import Options
from .wire_server import RenderedPrompt, TokenIds

RENDERED_KEPT = 256
"""Conversations whose rendering is remembered."""

Raw = str | list[int]
"""What the completions endpoint takes: text or token ids."""


class Prefill:
    """Renders conversations on one server, whose capabilities are known."""

    def __init__(
        self, exchange: Exchange, root: httpx.URL, model: str, can: Capabilities, options: Options
    ) -> None:
        self._exchange = exchange
        self._root = root
        self._model = model
        self._server = can.server
        self._context = can.context
        self._renders = can.server.startswith(("vLLM", "llama.cpp"))
        self._options = options
        self._rendered: dict[tuple[Prompt, bool | None], Raw] = {}

    async def prompt(self, draw: Draw) -> Raw | tuple[Message, ...]:
        """Return the draw's prompt with what has begun: for the completions endpoint, or messages for chat.

        Chat templates rewrite the thoughts in an assistant's message, or drop them (R1, Qwen3), so a conversation that has
        begun is rendered by vLLM's /tokenize or llama.cpp's /apply-template and goes to the completions endpoint.  Other
        servers get it as a last message of the assistant, with `continue_final_message`.  Whether they do continue it is
        assumed, for nothing that every such server says would tell.  One that answers afresh instead spoils answers that are forced and
        streams that are taken up again.
        """
        if isinstance(draw.prompt, str):
            return draw.prompt + draw.begun
        if not draw.begun:
            return draw.prompt
        if not self.renders(draw.prompt):
            return (*draw.prompt, Message("assistant", draw.begun))
        rendered = await self._render(draw.prompt, draw.think)
        open_tag = draw.tags.open
        if isinstance(rendered, str):
            return rendered + _once(open_tag, draw.begun, rendered.rstrip().endswith(open_tag))
        tag = await self.tokenize(open_tag)
        # The tag is the last token, or a line break is.
        opened = tag in (rendered[-len(tag) :], rendered[-len(tag) - 1 : -1])
        return rendered + await self.tokenize(_once(open_tag, draw.begun, opened))

    def renders(self, prompt: Prompt) -> bool:
        """Whether a conversation that has begun goes to the completions endpoint, where thoughts come with their tags; it would lose pictures there."""
        return self._renders and (isinstance(prompt, str) or not any(message.pictures for message in prompt))

    async def fills_context(self, draw: Draw) -> bool:
        """Whether nothing fits into the context after what has begun, as far as the server lets its tokens be counted."""
        context = self._context
        if context is None:
            return False
        try:
            raw = await self.prompt(draw)
            tokens = (
                raw if isinstance(raw, list) else await self.tokenize(raw) if isinstance(raw, str) else []
            )
        except ModelUnavailable:
            return False
        # One more that marks the beginning.
        return len(tokens) + 1 >= context

    async def tokenize(self, text: str) -> list[int]:
        """Return the token ids of `text`, no special ones added; raises `RequestRefused` where the server has no /tokenize."""
        # vLLM reads one half of this, llama.cpp the other.
        said = {"prompt": text, "add_special_tokens": False, "content": text, "add_special": False}
        call = self._call("/../tokenize", {"model": self._model, **said})._replace(private=True)
        return (await self._exchange.request(call, _read_tokens)).tokens

    async def _render(self, messages: tuple[Message, ...], think: bool | None) -> Raw:
        if (messages, think) not in self._rendered:
            said: dict[str, object] = {"model": self._model, **template(think, self._options)}
            said["messages"] = chat_messages(messages)
            raw: Raw
            if self._server.startswith("vLLM"):
                raw = (await self._exchange.request(self._call("/../tokenize", said), _read_tokens)).tokens
            else:
                call = self._call("/../apply-template", said)
                raw = (await self._exchange.request(call, _read_rendered)).prompt
            if len(self._rendered) >= RENDERED_KEPT:
                self._rendered.clear()
            self._rendered[messages, think] = raw
        return self._rendered[messages, think]

    def _call(self, path: str, said: dict[str, object]) -> Request:
        options = self._options
        return Request("POST", under(self._root, path), to_json(said), options.patience_s, options.total_s)


def template(think: bool | None, options: Options) -> dict[str, object]:
    """Return the request's fields that concern the chat template; `options.extra` has the last word."""
    given = options.extra.get("chat_template_kwargs")
    if given is None and think is not None:
        given = {"enable_thinking": think}
    return {} if given is None else {"chat_template_kwargs": given}


def _once(tag: str, begun: str, opened: bool) -> str:
    """Return what has begun without its opening tag, if the template has written that already."""
    return begun.removeprefix(tag) if opened else begun


async def _read_tokens(response: httpx.Response, _: object) -> TokenIds:
    return await read_as(TokenIds, response)


async def _read_rendered(response: httpx.Response, _: object) -> RenderedPrompt:
    return await read_as(RenderedPrompt, response)
