#!/usr/bin/env bash
# xgrammar 0.2.8, the engine behind structured outputs and required tool calls of vLLM and others: numbers that have a bound.
#
# `minimum: 0` on a number of a JSON schema (`Field(ge=0)` in pydantic, `NonNegativeFloat`) says how small it may be.
# Expected: every JSON number from 0 on, however it is written.
# Seen: with any bound, on either side, a number has at most six decimals and no exponent; without one both are free.  A probability,
# a learning rate or a price of 0.0000004 cannot be written: the nearest that can is 0.0, and nothing tells.
# Ask for such numbers without a bound, and check what comes back.
#
# Seen (Python 3.11.7, torch 2.13.0):
#   no bound: 0.125 True, 0.000001 True, 0.0000004 True, 4e-7 True, 0.0 True
#   minimum 0: 0.125 True, 0.000001 True, 0.0000004 False, 4e-7 False, 0.0 True
#   maximum 1: 0.125 True, 0.000001 True, 0.0000004 False, 4e-7 False, 0.0 True
#   exclusiveMinimum 0 and exclusiveMaximum 1: 0.125 True, 0.000001 True, 0.0000004 False, 4e-7 False, 0.0 False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xgrammar==0.2.8 torch==2.13.0 transformers==5.19.0

cat > "$folder/decimals.py" <<'PY'
import json

import xgrammar

COMPILER = xgrammar.GrammarCompiler(xgrammar.TokenizerInfo(["<end>", *map(chr, range(32, 127))], stop_token_ids=[0]))
NUMBERS = ("0.125", "0.000001", "0.0000004", "4e-7", "0.0")


def may_be_written(bounds: dict[str, float], number: str) -> bool:
    """Say whether the grammar of a schema takes this number as a whole answer."""
    matcher = xgrammar.GrammarMatcher(COMPILER.compile_json_schema(json.dumps({"type": "number", **bounds})))
    return matcher.accept_string(number) and matcher.accept_token(0)


for bounds, expected in (
    ({}, [True, True, True, True, True]),
    ({"minimum": 0}, [True, True, False, False, True]),
    ({"maximum": 1}, [True, True, False, False, True]),
    ({"exclusiveMinimum": 0, "exclusiveMaximum": 1}, [True, True, False, False, False]),
):
    found = [may_be_written(bounds, number) for number in NUMBERS]
    what = " and ".join(f"{name} {value}" for name, value in bounds.items()) or "no bound"
    print(f"{what}: " + ", ".join(f"{number} {may}" for number, may in zip(NUMBERS, found)), flush=True)
    assert found == expected, found
PY
timeout 300 "$folder/venv/bin/python" -W ignore "$folder/decimals.py"
echo "xgrammar 0.2.8: as described"
