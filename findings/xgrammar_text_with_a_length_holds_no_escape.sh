#!/usr/bin/env bash
# xgrammar 0.2.8, the engine behind structured outputs and required tool calls of vLLM and others: text whose length has a bound.
#
# `minLength: 1` or `maxLength: 200` on a text of a JSON schema (`Field(min_length=1)` in pydantic) says how long it is, and nothing else.
# Expected: the same texts as without the bound, as long as they are of that length.
# Seen: with either bound no escape may be written, so that the text cannot have a line break, a quotation mark or a backslash; and control
# characters may stand in it raw, which is no JSON: the answer, made under the grammar, cannot be parsed.
# A tool that takes code or a command loses both with a bound that was to forbid the empty text: leave the bound out of the schema that
# the server gets, and check the length of what comes back.
#
# Seen (Python 3.11.7, torch 2.13.0, pydantic 2.14.4):
#   no bound: escaped line break True, escaped quotation mark True, escaped backslash True, raw tab False
#   minLength 1: escaped line break False, escaped quotation mark False, escaped backslash False, raw tab True
#   maxLength 200: escaped line break False, escaped quotation mark False, escaped backslash False, raw tab True
#   what may be written with minLength 1 is not always JSON: Invalid control character at
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xgrammar==0.2.8 torch==2.13.0 transformers==5.19.0 pydantic==2.14.4

cat > "$folder/bounds.py" <<'PY'
import json
from typing import Annotated

import xgrammar
from pydantic import BaseModel, Field

VOCABULARY = ["<end>", *map(chr, range(32, 127)), "\t", "\n"]
COMPILER = xgrammar.GrammarCompiler(xgrammar.TokenizerInfo(VOCABULARY, stop_token_ids=[0]))
TEXTS = {
    "escaped line break": '{"said": "one\\ntwo"}',
    "escaped quotation mark": '{"said": "a \\"word\\""}',
    "escaped backslash": '{"said": "C:\\\\temp"}',
    "raw tab": '{"said": "one\ttwo"}',
}
ESCAPES_ONLY, RAW_ONLY = [True, True, True, False], [False, False, False, True]


class Free(BaseModel):
    said: str


class NotEmpty(BaseModel):
    said: Annotated[str, Field(min_length=1)]


class Short(BaseModel):
    said: Annotated[str, Field(max_length=200)]


def may_be_written(model: type[BaseModel], text: str) -> bool:
    """Say whether the grammar of a schema takes a whole answer."""
    matcher = xgrammar.GrammarMatcher(COMPILER.compile_json_schema(json.dumps(model.model_json_schema())))
    return matcher.accept_string(text) and matcher.accept_token(0)


for what, model, expected in (
    ("no bound", Free, ESCAPES_ONLY),
    ("minLength 1", NotEmpty, RAW_ONLY),
    ("maxLength 200", Short, RAW_ONLY),
):
    assert may_be_written(model, '{"said": "plain"}')
    found = [may_be_written(model, text) for text in TEXTS.values()]
    print(f"{what}: " + ", ".join(f"{name} {may}" for name, may in zip(TEXTS, found)), flush=True)
    assert found == expected, found
    for name, text in TEXTS.items():
        if name != "raw tab":
            model.model_validate_json(text)  # valid by the schema, and refused by the grammar

try:
    json.loads(TEXTS["raw tab"])
except ValueError as error:
    print(f"what may be written with minLength 1 is not always JSON: {error.msg}")
else:
    raise AssertionError("a raw tab was taken")
PY
timeout 300 "$folder/venv/bin/python" -W ignore "$folder/bounds.py"
echo "xgrammar 0.2.8: as described"
