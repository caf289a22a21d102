#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549): a list of prompts shares its random numbers, and the bill names one answer.
#
# 1. `/v1/completions` with a `seed` draws the `n` samples of one prompt with seed, seed + 1, ...; but for every further prompt of the list it
#    begins with `seed` again.  Two equal prompts in one request get letter-equal answers, in order: whoever sends a question k times
#    as a list in order to vote has one vote.  (Without a seed the answers differ.)
# 2. `usage.completion_tokens` counts the first answer alone, whatever the number of prompts and of `n`.
# 3. `echo` is answered with 200 and ignored; `max_tokens: 0` writes one token.
#
# Seen (Python 3.11.7, a one-layer model of random weights):
#   the same prompt twice, n=2, seed 7: answers 1 and 3 equal, 2 and 4 equal, 1 and 2 differ
#   4 answers of 8 tokens: completion_tokens 8
#   echo: 200, the prompt is not in the answer; max_tokens 0: 1 token
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549 gguf==0.19.0 httpx==0.28.1

cat > "$folder/lists.py" <<'PY'
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


twice = ask(prompt=["abc", "abc"], n=2)
texts = [choice["text"] for choice in sorted(twice["choices"], key=lambda choice: choice["index"])]
same = texts[0] == texts[2] and texts[1] == texts[3] and texts[0] != texts[1]
print(f"the same prompt twice, n=2, seed 7: answers 1 and 3 equal, 2 and 4 equal, 1 and 2 differ: {same}")
billed = twice["usage"]["completion_tokens"]
print(f"{len(texts)} answers of 8 tokens: completion_tokens {billed}")
echoed = ask(prompt="abc", echo=True)["choices"][0]["text"].startswith("abc")
none = ask(prompt="abc", max_tokens=0)["usage"]["completion_tokens"]
print(f"echo: the prompt is in the answer: {echoed}; max_tokens 0: {none} token")
sys.stdout.flush()
sys.exit("the behaviour has changed" if not same or billed != 8 or echoed or none != 1 else 0)
PY
"$folder/venv/bin/python" "$folder/lists.py" "$folder/tiny.gguf"
