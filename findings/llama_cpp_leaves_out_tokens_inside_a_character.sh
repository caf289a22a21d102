#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549): a letter that takes several tokens has one log-probability, that of its last token.
#
# `/v1/completions` with `logprobs` lists the tokens of an answer with their log-probabilities.  Expected: one entry a token, as many as
# `usage.completion_tokens`, whose sum is the log-probability of the text.
# Seen: where a character of several bytes is spelt in tokens of one byte each (the fallback of every Llama vocabulary), all its tokens but the
# last are left out.  The entry shows the bytes of the whole character with the id of the last token.  Sums and means of log-probabilities,
# the perplexity of an answer and whatever is decided by them are then of a part of the text, and texts in other scripts look surer.
#
# Seen (Python 3.11.7, a one-layer model of random weights whose tokens are bytes):
#   8 tokens of plain letters: 8 of 8 tokens have a probability
#   8 tokens of letters of two bytes: 4 of 8 tokens have a probability, each with the bytes [195, 169] and the id of byte 169
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549 gguf==0.19.0 httpx==0.28.1

cat > "$folder/told.py" <<'PY'
import sys

import gguf
import httpx
import numpy as np
import xllamacpp


def write(path: str) -> None:
    """Write a llama of one small layer and random weights, whose tokens are the bytes."""
    width, heads = 32, 2
    rng = np.random.default_rng(0)
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(width)
    writer.add_head_count(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name in ("token_embd", "output"):
        writer.add_tensor(f"{name}.weight", rng.standard_normal((len(tokens), width)).astype(np.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", rng.standard_normal((width, width)).astype(np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(path: str) -> xllamacpp.Server:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_parallel, parameters.n_ctx = 4, 1024
    parameters.kv_unified = parameters.fit_params = parameters.warmup = False
    parameters.verbosity = -1
    return xllamacpp.Server(parameters)


write(sys.argv[1])
server = serve(sys.argv[1])
fixed = {"temperature": 1, "seed": 7, "ignore_eos": True, "max_tokens": 8}


def ask(**fields) -> dict:
    answer = httpx.post(f"{server.listening_address}/v1/completions", json={**fixed, **fields}, timeout=30)
    answer.raise_for_status()
    return answer.json()


def told(text: str) -> tuple[int, list[dict]]:
    """Have a letter written again and again; return the tokens that were billed, and the entries of those whose probability was told."""
    answer = ask(prompt="abc", grammar=f'root ::= "{text}" root', logprobs=1)
    return answer["usage"]["completion_tokens"], answer["choices"][0]["logprobs"]["content"]


billed, entries = told("e")
plain = len(entries) == billed == 8
print(f"8 tokens of plain letters: {len(entries)} of {billed} tokens have a probability")
billed, entries = told("\u00e9")
[last] = {(entry["id"] - 3, tuple(entry["bytes"])) for entry in entries}  # ids 0 to 2 are no bytes
print(
    f"8 tokens of letters of two bytes: {len(entries)} of {billed} tokens have a probability, "
    f"each with the bytes {[*last[1]]} and the id of byte {last[0]}"
)
sys.stdout.flush()
sys.exit("the behaviour has changed" if not plain or billed != 8 or len(entries) != 4 or last != (169, (195, 169)) else 0)
PY
"$folder/venv/bin/python" "$folder/told.py" "$folder/tiny.gguf"
