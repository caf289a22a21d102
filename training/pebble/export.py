"""Write pebble's weights in the two forms that servers load: `python -m surefoot.training.pebble.export CHECKPOINT`.

* safetensors, config and tokenizer, float32: what transformers and vLLM load (`LlamaForCausalLM`);
* GGUF, q8_0 (norms float32): what llama.cpp loads, and what this package serves.

The tokenizer knows the 256 bytes (id = byte), `<eos>`, and the tags of a model that has some; a chat is the plain concatenation of
its messages.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from surefoot.models.embedded import WEIGHTS
from surefoot.models.embedded.worker_protocol import EOS

from .model import Pebble, Shape

HERE = WEIGHTS / "pebble"
CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
EOS_TEXT = "<eos>"


class Identity(NamedTuple):
    """What the files of one model say besides its weights."""

    name: str
    shape: Shape
    tags: tuple[str, ...] = ()
    """Tokens after `<eos>`; they are not special: whoever reads the text sees them."""
    chat: str = CHAT_TEMPLATE
    """How the messages of a chat become a text."""

    @property
    def gguf(self) -> str:
        """The name of the GGUF file."""
        return f"{self.name}.gguf"


PEBBLE = Identity("pebble", Shape())
GGUF_NAME = PEBBLE.gguf

LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OUTER_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def byte_characters() -> list[str]:
    """Return the printable character that stands for each byte in a byte-level vocabulary (GPT-2's mapping)."""
    printable = {
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    }
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def gguf_name(name: str) -> str:
    """Translate a parameter's name from transformers to llama.cpp."""
    stem, _, kind = name.rpartition(".")
    if stem in OUTER_NAMES:
        return f"{OUTER_NAMES[stem]}.{kind}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{LAYER_NAMES[part]}.{kind}"


def interleaved(weight: Tensor, heads: int) -> Tensor:
    """Reorder the rows of a query or key matrix: llama.cpp rotates neighbours, transformers rotates halves."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns)


def halved(weight: Tensor, heads: int) -> Tensor:
    """Undo `interleaved`."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


def is_rotated(name: str) -> bool:
    """Whether the parameter (of either naming) is a query or key matrix."""
    return any(part in name for part in ("q_proj", "k_proj", "attn_q.", "attn_k."))


def write_gguf(state: dict[str, Tensor], identity: Identity, path: Path) -> None:
    """Quantise and write one GGUF file."""
    shape = identity.shape
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(identity.name)
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_context_length(shape.positions)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_vocab_size(shape.vocabulary)
    add_gguf_tokenizer(writer, identity)
    for name, weight in state.items():
        array = (interleaved(weight, shape.heads) if is_rotated(name) else weight).contiguous().numpy()
        if array.ndim == 2:
            q8 = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(gguf_name(name), gguf.quants.quantize(array, q8), raw_dtype=q8)
        else:
            writer.add_tensor(gguf_name(name), array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_gguf_tokenizer(writer: gguf.GGUFWriter, identity: Identity) -> None:
    """Describe the tokenizer to llama.cpp."""
    characters, tags = byte_characters(), identity.tags
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*characters, EOS_TEXT, *tags])
    kinds = [gguf.TokenType.NORMAL] * EOS + [gguf.TokenType.CONTROL]
    writer.add_token_types(kinds + [gguf.TokenType.USER_DEFINED] * len(tags))
    # A list of merges must not be empty; this one joins two zero bytes into a token that does not exist.
    writer.add_token_merges([f"{characters[0]} {characters[0]}"])
    writer.add_bos_token_id(EOS)
    writer.add_eos_token_id(EOS)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(identity.chat)


def read_gguf(path: Path, shape: Shape | None = None) -> Pebble:
    """Return the network with the weights of a GGUF file, dequantised: what llama.cpp computes with."""
    model = Pebble(shape)
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    state = {}
    for name in model.state_dict():
        tensor = stored[gguf_name(name)]
        values: NDArray[np.float32] = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        weight = torch.from_numpy(values.copy())
        state[name] = halved(weight, model.shape.heads) if is_rotated(name) else weight
    model.load_state_dict(state)
    return model.eval()


def config(shape: Shape) -> dict[str, Any]:
    """Return transformers' config.json."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.width,
        "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "head_dim": shape.head_width,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "rms_norm_eps": shape.norm_eps,
        "rope_theta": shape.rope_theta,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": EOS,
        "pad_token_id": EOS,
        "torch_dtype": "float32",
        "use_cache": True,
    }


def tokenizer(tags: tuple[str, ...]) -> dict[str, Any]:
    """Return tokenizer.json: one token per byte, `<eos>` and the tags, no merges."""
    by_byte: dict[str, Any] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    added = [
        {"id": EOS + place, "content": text, **plain, "special": text == EOS_TEXT}
        for place, text in enumerate((EOS_TEXT, *tags))
    ]
    characters = enumerate(byte_characters())
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": by_byte,
        "post_processor": None,
        "decoder": by_byte,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {character: byte for byte, character in characters}
            | {token["content"]: token["id"] for token in added},
            "merges": [],
        },
    }


def tokenizer_config(identity: Identity) -> dict[str, Any]:
    """Return tokenizer_config.json."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": identity.shape.positions,
        "bos_token": None,
        "eos_token": EOS_TEXT,
        "pad_token": EOS_TEXT,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "chat_template": identity.chat,
    }


def export(checkpoint: Path, out: Path, identity: Identity) -> None:
    """Write every file that a server needs into `out`."""
    state, shape = load_file(checkpoint), identity.shape
    assert shape.vocabulary == EOS + 1 + len(identity.tags)
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    for name, content in {
        "config.json": config(shape),
        "generation_config.json": {"eos_token_id": EOS, "pad_token_id": EOS},
        "tokenizer.json": tokenizer(identity.tags),
        "tokenizer_config.json": tokenizer_config(identity),
    }.items():
        (out / name).write_text(json.dumps(content, indent=1, ensure_ascii=True) + "\n")
    partial = out / f"{identity.gguf}.partial"
    write_gguf(state, identity, partial)
    partial.replace(out / identity.gguf)


def run(identity: Identity, here: Path) -> None:
    """Read the command line and export to the folder that it names, or to `here`."""
    parser = argparse.ArgumentParser(description=f"Write {identity.name}'s weights for servers.")
    parser.add_argument("checkpoint", type=Path, help="the model.safetensors that training wrote")
    parser.add_argument("--out", type=Path, default=here, help="folder to write to (default: this package)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    export(options.checkpoint, options.out, identity)


def main() -> None:
    """Export pebble."""
    run(PEBBLE, HERE)


if __name__ == "__main__":
    main()
