#!/usr/bin/env bash
# inspect_ai 0.3.285: with `cache=True` a model answers with what the same model said under other arguments (`-M`).
#
# An eval is run twice with `--cache`, the second time with another `-M`, say another prompt prefix, revision, or server behind it.
# Expected: arguments that change what a model says are part of what a cached answer is found by, as its generation settings are.
# Seen: they are not.  The second model is never asked, and its log shows the answers of the first one.  Another temperature is told apart.
#
# Seen (Python 3.11.7, inspect_ai 0.3.285; the model of the package that says what it is given):
#   asked first: first
#   asked with other arguments: first
#   the same without a cache: second
#   at another temperature: second
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check inspect_ai==0.3.285

cat > "$folder/cached.py" <<'PY'
import asyncio

from inspect_ai.model import GenerateConfig, ModelOutput, ModelUsage, get_model


def output(text: str) -> ModelOutput:
    made = ModelOutput.from_content("mockllm/model", text)
    made.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return made


async def said(text: str, cache: bool, temperature: float | None = None) -> str:
    """Ask a model that is made to say this text."""
    model = get_model("mockllm/model", memoize=False, custom_outputs=[output(text)] * 3)
    return (await model.generate("hello", cache=cache, config=GenerateConfig(temperature=temperature))).completion


async def main() -> None:
    print("asked first:", await said("first", cache=True))
    print("asked with other arguments:", await said("second", cache=True))
    print("the same without a cache:", await said("second", cache=False))
    print("at another temperature:", await said("second", cache=True, temperature=0.5))


asyncio.run(main())
PY
INSPECT_CACHE_DIR="$folder/cache" XDG_CACHE_HOME="$folder/cache" "$folder/venv/bin/python" "$folder/cached.py" 2>"$folder/errors" | tee "$folder/seen" || { cat "$folder/errors" >&2; exit 1; }
diff "$folder/seen" - <<'SEEN'
asked first: first
asked with other arguments: first
the same without a cache: second
at another temperature: second
SEEN
