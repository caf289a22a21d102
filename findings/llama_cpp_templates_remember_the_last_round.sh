#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549) beside jinja2 3.1.6: chat templates that both take, and read differently.
#
# llama.cpp has a template engine of its own.  Most of what it does not know it refuses when the model is loaded, and that can be seen.
# Expected: what it takes, it writes as jinja2 does, for which templates are written.  Seen, without an error or a warning:
# 1. What `set` sets in one round of a loop is still there in the next.  A template that sets a message's thought if there is one, and
#    writes it if it is defined, gives each later message the thought of an earlier one.
# 2. A macro called with a keyword, past a default that was left out, puts the keyword's value nowhere: the parameter keeps its default, and the
#    one that was left out is empty.
# 3. `split()` counts every space, and `select('odd')` selects nothing.
# 4. A list within a list is equal to no other; a list written out is its items without brackets, and a dict written out is nothing.
# The prompt for a given conversation can be had from `/apply-template`: compare it with jinja2's once for each new template.
#
# Seen (Python 3.11.7; jinja2, then llama.cpp):
#   thoughts: one:A two:- three:-, then one:A two:A three:A
#   macro: a=5 b=2 c=9, then a=5 b= c=3
#   split: 3, then 6
#   select: 2, then 0
#   equal: True, then False
#   list: [1, 'x'], then 1x
#   dict: {'a': 1}, then
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    xllamacpp==2026.10.11549 gguf==0.19.0 httpx==0.28.1 jinja2==3.1.6

cat > "$folder/rounds.py" <<'PY'
import sys

import gguf
import httpx
import numpy as np
import xllamacpp
from jinja2.sandbox import ImmutableSandboxedEnvironment

CASES = {
    "thoughts": (
        "{% for message in messages %}{% if message.reasoning_content %}{% set thought = message.reasoning_content %}{% endif %}"
        "{{ message.content }}:{% if thought is defined %}{{ thought }}{% else %}-{% endif %}"
        "{% if not loop.last %} {% endif %}{% endfor %}"
    ),
    "macro": "{% macro f(a, b=2, c=3) %}a={{ a }} b={{ b }} c={{ c }}{% endmacro %}{{ f(5, c=9) }}",
    "split": "{{ 'a  b   c'.split() | length }}",
    "select": "{{ [1, 2, 3] | select('odd') | list | length }}",
    "equal": "{{ [[1], 2] == [[1], 2] }}",
    "list": "{{ [1, 'x'] }}",
    "dict": "{{ {'a': 1} }}",
}
EXPECTED = {
    "thoughts": ("one:A two:- three:-", "one:A two:A three:A"),
    "macro": ("a=5 b=2 c=9", "a=5 b= c=3"),
    "split": ("3", "6"),
    "select": ("2", "0"),
    "equal": ("True", "False"),
    "list": ("[1, 'x']", "1x"),
    "dict": ("{'a': 1}", ""),
}
MESSAGES = [
    {"role": "assistant", "content": "one", "reasoning_content": "A"},
    {"role": "assistant", "content": "two"},
    {"role": "user", "content": "three"},
]


def write(path: str, template: str) -> None:
    """Write a llama of one small layer and random weights, whose tokens are the bytes."""
    width, rng = 32, np.random.default_rng(0)
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
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
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(template)
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


def by_llama_cpp(path: str, template: str) -> str:
    write(path, template)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_parallel, parameters.n_ctx = 1, 256
    parameters.kv_unified = parameters.fit_params = parameters.warmup = False
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)
    answer = httpx.post(f"{server.listening_address}/apply-template", json={"messages": MESSAGES}, timeout=30)
    answer.raise_for_status()
    return answer.json()["prompt"]


def by_jinja2(template: str) -> str:
    """Write it as transformers does: with this environment, and these settings."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(messages=MESSAGES)


same = True
for what, template in CASES.items():
    found = by_jinja2(template), by_llama_cpp(sys.argv[1], template)
    print(f"{what}: {found[0]}, then {found[1]}", flush=True)
    same = same and found == EXPECTED[what]
sys.exit(0 if same else "the behaviour has changed")
PY
timeout 300 "$folder/venv/bin/python" "$folder/rounds.py" "$folder/tiny.gguf" 2>"$folder/log" || { tail -n 20 "$folder/log" >&2; exit 1; }
echo "xllamacpp 2026.10.11549: as described"
