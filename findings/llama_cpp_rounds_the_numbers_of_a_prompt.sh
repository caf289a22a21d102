#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549) beside transformers 5.19.0: one chat template, one conversation, other numbers in the prompt.
#
# A chat template writes the tools, and the calls that were made, into the prompt by `tojson`, or argument by argument as `{{ value }}`.
# Expected: either engine writes the numbers that it was given; a model is trained, as a rule, on what transformers writes.
# Seen: llama.cpp's engine writes six digits of a number with a point by `tojson` or `string`, and six decimals of one by `{{ value }}`.  An agent
# that paid 1234567.89 reads in its next turn that it paid 1.23457e+06, that it was half an hour later, and that a share of
# 0.0000004 is 0.0.  A tool's largest value of 2^64 - 1, as Rust's `u64` has it, is -1.  Whole numbers within 63 bits are right.
# What an agent has to see exactly goes into its calls, and into the tools, as text.
#
# Seen (Python 3.11.7; transformers, then llama.cpp):
#   tool, maximum: 18446744073709551615, -1
#   call by tojson, amount: 1234567.89, 1.23457e+06
#   call by tojson, at: 1732968000.25, 1.73297e+09
#   call by tojson, whole: 3.0, 3
#   call by value, latitude: 52.52000661, 52.520007
#   call by value, share: 4e-07, 0.0
#   call by value, number: 9007199254740993, 9007199254740993
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    xllamacpp==2026.10.11549 gguf==0.19.0 httpx==0.28.1 transformers==5.19.0 jinja2==3.1.6

cat > "$folder/prompt.py" <<'PY'
import json
import re
import sys

import gguf
import httpx
import numpy as np
import xllamacpp
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

TEMPLATE = """{% for tool in tools %}tool {{ tool.function.parameters | tojson }}
{% endfor %}{% for message in messages %}{{ message.role }} {{ message.content or '' }}
{% for call in message.tool_calls or [] %}json {{ call.function.arguments | tojson }}
{% for name, value in call.function.arguments.items() %}value "{{ name }}": {{ value }}
{% endfor %}{% endfor %}{% endfor %}"""
ARGUMENTS = {
    "amount": 1234567.89,
    "at": 1732968000.25,
    "whole": 3.0,
    "latitude": 52.52000661,
    "share": 0.0000004,
    "number": 2**53 + 1,
}
PARAMETERS = {"type": "object", "properties": {"amount": {"type": "number"}, "account": {"maximum": 2**64 - 1}}}
TOOLS = [{"type": "function", "function": {"name": "pay", "description": "Pay.", "parameters": PARAMETERS}}]


def messages(arguments: dict | str) -> list[dict]:
    call = {"id": "call00001", "type": "function", "function": {"name": "pay", "arguments": arguments}}
    return [
        {"role": "user", "content": "Pay."},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call00001", "content": "done"},
    ]


def write(path: str) -> None:
    """Write a llama of one small layer and random weights, whose tokens are the bytes."""
    width, rng = 32, np.random.default_rng(0)
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
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
    writer.add_token_types(
        [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]
    )
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)
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


def by_llama_cpp(path: str) -> str:
    write(path)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_parallel, parameters.n_ctx = 1, 256
    parameters.kv_unified = parameters.fit_params = parameters.warmup = False
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)
    body = {"messages": messages(json.dumps(ARGUMENTS)), "tools": TOOLS}
    answer = httpx.post(f"{server.listening_address}/apply-template", json=body, timeout=30)
    answer.raise_for_status()
    return answer.json()["prompt"]


def by_transformers() -> str:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    return tokenizer.apply_chat_template(messages(ARGUMENTS), tools=TOOLS, chat_template=TEMPLATE, tokenize=False)


def number(prompt: str, line: str, name: str) -> str:
    """Return the number of this name, as it stands in the first line that begins with these words."""
    start = next(text for text in prompt.splitlines() if text.startswith(line))
    return re.search(rf'"{name}": (?:\{{"maximum": )?([-+.\de]+)', start)[1]


theirs, ours = by_transformers(), by_llama_cpp(sys.argv[1])
seen = True
for what, line, name, expected in (
    ("tool, maximum", "tool", "account", ("18446744073709551615", "-1")),
    ("call by tojson, amount", "json", "amount", ("1234567.89", "1.23457e+06")),
    ("call by tojson, at", "json", "at", ("1732968000.25", "1.73297e+09")),
    ("call by tojson, whole", "json", "whole", ("3.0", "3")),
    ("call by value, latitude", 'value "latitude"', "latitude", ("52.52000661", "52.520007")),
    ("call by value, share", 'value "share"', "share", ("4e-07", "0.0")),
    ("call by value, number", 'value "number"', "number", ("9007199254740993", "9007199254740993")),
):
    found = number(theirs, line, name), number(ours, line, name)
    print(f"{what}: {found[0]}, {found[1]}", flush=True)
    seen = seen and found == expected
sys.exit(0 if seen else "the behaviour has changed")
PY
timeout 300 "$folder/venv/bin/python" "$folder/prompt.py" "$folder/tiny.gguf" 2>"$folder/log" || { tail -n 20 "$folder/log" >&2; exit 1; }
echo "xllamacpp 2026.10.11549, transformers 5.19.0: as described"
