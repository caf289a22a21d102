"""A transformers network that writes: passes over its rows, tokens drawn from their logits, hooks at its layers.  Needs torch."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tokenizers.decoders import DecodeStream
from torch import Tensor
from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from surefoot.errors import BadInput
from surefoot.models.base import Message, Prompt
from surefoot.models.embedded.draws import choose_tokens, logprobs_of, uniform
from surefoot.models.streaming import AddedVector

from .cache import NAME, ForwardPass, RowCache, attend
from .heads import CacheShape, CompressedKV

AttentionInterface.register(NAME, attend)

READ_BYTES = 1 << 20
CONTEXT_TOKENS = 16
"""Of what comes before, for a token whose text depends on it."""


@dataclass(slots=True)
class NextToken:
    """What has to be known to draw the next token of a text."""

    ids: list[int]
    """The text so far."""
    row: int
    begins: bool
    """Whether the row holds nothing of it yet; otherwise it holds all but the last token."""
    seed: int
    temperature: float
    bias: tuple[tuple[int, float], ...] = ()
    alternatives: int = 0
    """How many likely tokens are listed."""
    layers: tuple[int, ...] = ()
    added: AddedVector | None = None
    after: int = 0
    """Tokens of the prompt, at which nothing is added."""


class DrawnToken(NamedTuple):
    """A token, and what was asked for beside it."""

    token: int
    logprob: float | None
    top: tuple[tuple[int, float], ...]
    states: tuple[Sequence[float], ...]


class TransformersNetwork:
    """Weights in a folder as transformers saves them; nothing is downloaded, and no code comes from there."""

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        self.folder = folder
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        with _no_progress():
            self._model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, attn_implementation=NAME, local_files_only=True, use_safetensors=True
            )
        self._model.eval().to(device)
        self._layers: Any = self._model.get_decoder().layers
        for number, layer in enumerate(self._layers, 1):
            layer.register_forward_hook(_hook(number), with_kwargs=True)
        config, ends = self._model.config.get_text_config(), self._model.generation_config.eos_token_id
        self.context: int = config.max_position_embeddings
        self.ends = frozenset(ends if isinstance(ends, list) else [ends, self.tokenizer.eos_token_id]) - {
            None
        }
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        self.shape = CacheShape(len(self._layers), heads, head, self._model.dtype.itemsize)
        self.width: int = config.hidden_size
        self.vocabulary: int = config.vocab_size
        self._ending_in = cache(self._find_ending_in)
        self.digest = cache(self._digest)

    def cache(self, kv: CompressedKV | None) -> RowCache:
        """Return an empty cache; raises `BadInput` for heads that there are not."""
        if kv:
            kv.check(self.shape)
        return RowCache(self.shape, kv, next(self._model.parameters()).detach())

    def render(self, prompt: Prompt, think: bool | None) -> str:
        """Return a prompt as the text that the network reads."""
        if isinstance(prompt, str):
            return prompt
        if any(message.pictures for message in prompt):
            raise BadInput("a model in this process reads no pictures: use a server for those")
        told = {} if think is None else {"enable_thinking": think}
        return str(
            self.tokenizer.apply_chat_template(
                [_turn(message) for message in prompt], tokenize=False, add_generation_prompt=True, **told
            )
        )

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """Return the token ids of a text, with those that every text begins with or without."""
        return list(self.tokenizer(text, add_special_tokens=special)["input_ids"])

    def check(
        self, layers: Sequence[int], added: AddedVector | None, bias: Sequence[tuple[int, float]]
    ) -> None:
        """Raise `BadInput` for what the network does not have."""
        depth = len(self._layers)
        for layer in (*layers, *([added.layer] if added else [])):
            if not 1 <= layer <= depth:
                raise BadInput(f"this model has layers 1 to {depth}, not {layer!r}")
        if added and len(added.values) != self.width:
            raise BadInput(f"hidden states of this model have {self.width} numbers, not {len(added.values)}")
        if added:
            self._ending_in(added.ends)  # here, where a refusal is nobody else's
        if wrong := [token for token, _ in bias if not 0 <= token < self.vocabulary]:
            raise BadInput(f"this model has tokens 0 to {self.vocabulary - 1}, not {wrong[0]!r}")

    @torch.inference_mode()
    def draw(self, rows: RowCache, texts: Sequence[NextToken]) -> list[DrawnToken]:
        """Draw one token of each text, which stand in different rows.

        A token depends on its own text and settings alone: `uniform` of seed and position says which quantile it is.
        """
        found: dict[int, tuple[Tensor, dict[int, Tensor]]] = {}
        for text in texts:
            if text.begins:
                found[text.row] = self._pass(rows, [text])[0]
        if going := [text for text in texts if not text.begins]:
            told = self._pass(rows, going)
            found |= {text.row: one for text, one in zip(going, told, strict=True)}
        logits = torch.stack([found[text.row][0] for text in texts]).float().cpu().numpy()
        tokens = _chosen(logits, texts)
        logprobs = logprobs_of(logits, tokens)
        return [
            DrawnToken(
                int(token),
                float(logprob),
                _likeliest(line, text.alternatives),
                tuple(found[text.row][1][layer].float().cpu().numpy() for layer in text.layers),
            )
            for text, token, logprob, line in zip(texts, tokens, logprobs, logits, strict=True)
        ]

    def _pass(self, rows: RowCache, texts: Sequence[NextToken]) -> list[tuple[Tensor, dict[int, Tensor]]]:
        """Read what the rows do not hold yet, and return logits and wanted states of each text."""
        begins, device = texts[0].begins, self._model.device
        # Two rows at least: products of one row are added up in another order, and a text's numbers should not depend on its company.
        lines = texts if begins or len(texts) > 1 else [*texts, *texts]
        read = [text.ids if begins else text.ids[-1:] for text in lines]
        first = [0 if begins else len(text.ids) - 1 for text in lines]
        tokens = torch.tensor(read, device=device)
        positions = torch.tensor(first, device=device)[:, None] + torch.arange(len(read[0]), device=device)
        forward_pass = ForwardPass(
            cache=rows,
            rows=torch.tensor([text.row for text in lines], device=device),
            positions=positions,
            begins=begins,
            wanted=frozenset(layer for text in texts for layer in text.layers),
            added=self._added(lines, read, positions),
        )
        logits = self._model(
            input_ids=tokens,
            position_ids=positions,
            use_cache=False,
            logits_to_keep=1,
            forward_pass=forward_pass,
        ).logits[:, -1]
        states = forward_pass.states
        return [
            (logits[number], {layer: kept[number] for layer, kept in states.items()})
            for number in range(len(texts))
        ]

    def _added(
        self, texts: Sequence[NextToken], read: Sequence[Sequence[int]], positions: Tensor
    ) -> dict[int, Tensor]:
        """Return for each layer what is added there, (texts, tokens, width)."""
        added: dict[int, Tensor] = {}
        for number, (text, ids) in enumerate(zip(texts, read, strict=True)):
            if text.added is None:
                continue
            ending, first = self._ending_in(text.added.ends), int(positions[number, 0])
            at = [place for place, token in enumerate(ids) if token in ending and first + place >= text.after]
            if at:
                layer = text.added.layer
                if layer not in added:
                    shape = (*positions.shape, self.width)
                    added[layer] = torch.zeros(shape, dtype=self._model.dtype, device=positions.device)
                added[layer][number, at] = torch.tensor(
                    text.added.values, dtype=self._model.dtype, device=positions.device
                )
        return added

    def _find_ending_in(self, text: str) -> frozenset[int]:
        ids = range(len(self.tokenizer))
        written = self.tokenizer.batch_decode([[token] for token in ids])
        found = frozenset(token for token, of in zip(ids, written, strict=True) if of.endswith(text))
        if not text or not found:
            raise BadInput(f"no token of this model ends with {text!r}: name what separates its thoughts")
        return found

    def _digest(self) -> str:
        sha = hashlib.sha256()
        for path in [*sorted(self.folder.glob("*.safetensors")), self.folder / "config.json"]:
            with path.open("rb") as file:
                while part := file.read(READ_BYTES):
                    sha.update(part)
        return sha.hexdigest()

    def text_of(self, token: int) -> str:
        """Return the text of a token by itself."""
        return str(self.tokenizer.decode([token]))


class TextOfTokens:
    """The text of tokens that come one after the other; a character of several tokens comes with its last."""

    def __init__(self, network: TransformersNetwork, before: Sequence[int]) -> None:
        self._tokenizer = network.tokenizer
        self._stream = DecodeStream(list(before[-CONTEXT_TOKENS:]), skip_special_tokens=False)
        self._open: list[int] = []

    def step(self, token: int) -> str:
        """Return the text that is certain now."""
        text = self._stream.step(self._tokenizer.backend_tokenizer, token)
        self._open = [] if text is not None else [*self._open, token]
        return text or ""

    def end(self) -> str:
        """Return what the tokens that are left make."""
        return str(self._tokenizer.decode(self._open)) if self._open else ""


def _hook(number: int) -> Callable[..., Any]:
    """Return what is done after layer `number`: what is to be added is added to every row, and what is wanted is kept."""

    def after(module: Any, inputs: Any, named: dict[str, Any], output: Any) -> Any:
        forward_pass: ForwardPass = named["forward_pass"]
        states = output[0] if isinstance(output, tuple) else output
        changed = number in forward_pass.added
        if changed:
            # Not in place: `+=` on the wrong view has changed the first row of a batch only, without a word.
            states = states + forward_pass.added[number]
        if number in forward_pass.wanted:
            forward_pass.states[number] = states[:, -1]
        if not changed:
            return None
        return (states, *output[1:]) if isinstance(output, tuple) else states

    return after


def _chosen(logits: Any, texts: Sequence[NextToken]) -> Any:
    biased = logits
    if any(text.bias for text in texts):
        biased = logits.copy()
        for line, text in zip(biased, texts, strict=True):
            for token, value in text.bias:
                line[token] += value
    seeds = np.array([text.seed & 0xFFFF_FFFF_FFFF_FFFF for text in texts], np.uint64)
    places = np.array([len(text.ids) for text in texts], np.int64)
    temperatures = np.array([text.temperature for text in texts], np.float32)
    return choose_tokens(biased, temperatures, uniform(seeds, places))


def _likeliest(logits: Any, count: int) -> tuple[tuple[int, float], ...]:
    if not count:
        return ()
    best = np.argsort(-logits, kind="stable")[:count]
    level = logits.max()
    total = level + np.log(np.exp(logits - level).sum(dtype=np.float64))
    return tuple((int(token), float(logits[token] - total)) for token in best)


def _turn(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}


@contextmanager
def _no_progress() -> Iterator[None]:
    """Keep transformers' bars from a terminal that shows a run."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
