#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549): a chat template that leaves system messages out has them put into the user's message.
#
# The chat template of a GGUF file decides what a model reads.  A model that was trained without instructions has one that writes no system message.
# Expected: such a message is not read.
# Seen: before serving, the server tries a template out with a system message; if that does not come back, every system message is written before the
# text of the first user's message, with a line break between, and the template gets that.  transformers, which reads the same template, leaves it out.  A template
# that names the one message that it leaves out, and writes any other, is taken as it is.
#
# Seen (Python 3.11.7, a one-layer model of random weights):
#   the template leaves system messages out: the model reads 'Add.\n1 + 1'
#   it leaves out this one alone: the model reads '1 + 1'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549 gguf==0.19.0 httpx==0.28.1

cat > "$folder/read.py" <<'PY'
import sys

import gguf
import httpx
import numpy as np
import xllamacpp


def write(path: str, template: str) -> None:
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


def serve(path: str) -> xllamacpp.Server:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_parallel, parameters.n_ctx = 4, 1024
    parameters.kv_unified = parameters.fit_params = parameters.warmup = False
    parameters.verbosity = -1
    return xllamacpp.Server(parameters)


def read(shown: str) -> str:
    """Serve a template that writes a message only if that is so; return what the model reads of a chat."""
    write(sys.argv[1], f"{{% for m in messages %}}{{% if {shown} %}}{{{{ m['content'] }}}}{{% endif %}}{{% endfor %}}")
    server = serve(sys.argv[1])
    chat = [{"role": "system", "content": "Add."}, {"role": "user", "content": "1 + 1"}]
    answer = httpx.post(f"{server.listening_address}/apply-template", json={"messages": chat}, timeout=30)
    answer.raise_for_status()
    # The server is only told to stop well once it has answered a request.
    httpx.post(f"{server.listening_address}/v1/completions", json={"prompt": "a", "max_tokens": 1}, timeout=30)
    return answer.json()["prompt"]


none = read("m['role'] != 'system'")
print(f"the template leaves system messages out: the model reads {none!r}")
other = read("m['role'] != 'system' or m['content'] != 'Add.'")
print(f"it leaves out this one alone: the model reads {other!r}", flush=True)
sys.exit("the behaviour has changed" if (none, other) != ("Add.\n1 + 1", "1 + 1") else 0)
PY
"$folder/venv/bin/python" "$folder/read.py" "$folder/tiny.gguf"
