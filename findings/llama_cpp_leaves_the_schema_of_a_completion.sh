#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549, built with llguidance): `json_schema` of a completion is left, with 200, for Llama 2's kind of vocabulary.
#
# A SentencePiece vocabulary puts a space before a text (`tokenizer.ggml.add_space_prefix`, true unless the file says otherwise, as in
# files of Llama 2).  `/v1/completions` is sent `{"enum": ["yes", "no"]}` as `json_schema`.
# Expected: each answer is "yes" or "no", whatever the model; or an error.
# Seen: the first place with only one way to go on is filled by the token of a space, the grammar stops there, and the rest of the answer is
# free text: 200, no warning in the answer.  The server's log has a line of `llg error`, if it is not silent.  A schema that forces nothing
# holds (a digit from 1 to 9), and so does the same schema over `/v1/chat/completions`, which goes through llama.cpp's own grammars,
# and over either where the file sets the prefix to false.
# Whoever votes over raw completions parses each answer, or sends `grammar`, llama.cpp's own, in place of `json_schema`.
#
# Seen (Python 3.11.7, a one-layer model of random weights, 20 seeds each):
#   space prefix: yes or no: completions 0 of 20, chat 20 of 20, grammar 20 of 20
#   space prefix: a digit: completions 20 of 20, chat 20 of 20
#   no space prefix: yes or no: completions 20 of 20, chat 20 of 20, grammar 20 of 20
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549 gguf==0.19.0 httpx==0.28.1

cat > "$folder/schema.py" <<'PY'
import json
import sys

import gguf
import httpx
import numpy as np
import xllamacpp


def write(path: str, prefix: bool | None) -> None:
    """Write a llama of one small layer and random weights, whose tokens are the bytes, the space and printable ASCII."""
    width, rng = 32, np.random.default_rng(0)
    pieces = ["\u2581", *map(chr, range(33, 127))]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(width)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // 2)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(number) for number in range(len(tokens))])
    writer.add_token_types([*kinds, *[gguf.TokenType.NORMAL] * len(pieces)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    if prefix is not None:
        writer.add_add_space_prefix(prefix)
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
    parameters.n_parallel, parameters.n_ctx = 2, 1024
    parameters.kv_unified = parameters.fit_params = parameters.warmup = False
    parameters.verbosity = -1
    return xllamacpp.Server(parameters)


def hold(server: xllamacpp.Server, way: str, fields: dict, allowed: list) -> int:
    """Return how many of twenty answers, each a 200, are JSON of an allowed value."""
    count = 0
    for seed in range(20):
        body = {"max_tokens": 30, "seed": seed, **fields}
        answer = httpx.post(f"{server.listening_address}/v1/{way}", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        choice = answer.json()["choices"][0]
        try:
            count += json.loads(choice["text"] if "text" in choice else choice["message"]["content"]) in allowed
        except ValueError:
            pass
    return count


def counts(server: xllamacpp.Server, schema: dict, allowed: list) -> list[int]:
    """Return how many answers hold over completions and over chat."""
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    chat = {"messages": [{"role": "user", "content": "a"}], "response_format": wanted}
    return [
        hold(server, "completions", {"prompt": "a", "json_schema": schema}, allowed),
        hold(server, "chat/completions", chat, allowed),
    ]


WORDS = ["yes", "no"]
GRAMMAR = {"prompt": "a", "grammar": 'root ::= "\\"yes\\"" | "\\"no\\""'}
for what, prefix, expected in (("space prefix", None, 0), ("no space prefix", False, 20)):
    write(sys.argv[1], prefix)
    server = serve(sys.argv[1])
    found = [*counts(server, {"enum": WORDS}, WORDS), hold(server, "completions", GRAMMAR, WORDS)]
    print(f"{what}: yes or no: completions {found[0]} of 20, chat {found[1]} of 20, grammar {found[2]} of 20", flush=True)
    assert found == [expected, 20, 20], found
    if prefix is None:
        digits = counts(server, {"type": "integer", "minimum": 1, "maximum": 9}, list(range(1, 10)))
        print(f"{what}: a digit: completions {digits[0]} of 20, chat {digits[1]} of 20", flush=True)
        assert digits == [20, 20], digits
    del server
PY
timeout 300 "$folder/venv/bin/python" "$folder/schema.py" "$folder/tiny.gguf" 2>"$folder/log" || { tail -n 20 "$folder/log" >&2; exit 1; }
echo "xllamacpp 2026.10.11549: as described"
