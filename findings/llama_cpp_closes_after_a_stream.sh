#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549): announces keep-alive with a streamed answer, and closes the connection right after it.
#
# Every answer carries `Keep-Alive: timeout=5, max=100` and no `Connection: close`.  After a plain one the connection stays open; after a streamed
# one (chunked, ended properly) the server closes it at once.  A client that keeps connections, as it was told to, may send its next request
# into the closing one and gets a disconnect that looks like an outage: give streamed requests a connection of their own, or send
# `Connection: close` with them.
#
# Seen (Python 3.11.7, a one-layer model of random weights):
#   after 20 plain answers 0 connections closed; after 20 streamed ones 20; both said Keep-Alive: timeout=5, max=100
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549 gguf==0.19.0

cat > "$folder/closes.py" <<'PY'
import http.client
import json
import sys
from urllib.parse import urlsplit

import gguf
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
address = urlsplit(server.listening_address)
announced = set()


def is_closed_after(stream: bool) -> bool:
    """Ask over a new connection, read the whole answer, and see whether the server closes within a second."""
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    body = {"prompt": "abc", "max_tokens": 8, "stream": stream}
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    announced.add((answer.getheader("Connection"), answer.getheader("Keep-Alive")))
    connection.sock.settimeout(0.5)
    try:
        return connection.sock.recv(1) == b""
    except TimeoutError:
        return False
    finally:
        connection.close()


plain, streamed = (sum(is_closed_after(stream) for _ in range(20)) for stream in (False, True))
print(
    f"after 20 plain answers {plain} connections closed; after 20 streamed ones {streamed}; "
    f"Connection and Keep-Alive said {announced}"
)
sys.stdout.flush()
sys.exit("the behaviour has changed" if plain or streamed != 20 or announced != {(None, "timeout=5, max=100")} else 0)
PY
"$folder/venv/bin/python" "$folder/closes.py" "$folder/tiny.gguf"
