"""Writes docs/configuration.md from the code: `python docs/configuration.py`.  A test compares the two."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import surefoot
from surefoot.cli import group
from surefoot.serving.proxy import ProxySettings

PAGE = Path(__file__).with_suffix(".md")
FRAME = """\
# Configuration

Every setting, with its usual value. The tables come from the code (`python docs/configuration.py` writes this page).

```python
import asyncio

import surefoot
from surefoot.models.doubles import towers_double

report = asyncio.run(
    surefoot.run(
        surefoot.Towers(disks=4, style="compact"),
        surefoot.Settings(k=3, limit=50, sampling=surefoot.Sampling(temperature=0.5)),
        model=towers_double(error=0.05),  # or an address, and `options`
        speculate=surefoot.Speculation("recall", depth=64),
        budget=surefoot.Budget(steps=100),
    )
)
assert report.solved
```

## A job

`run` and `plan` take a task and a `Settings`. A job keeps what it began with: `resume` changes the limit alone.

{Settings}

`Sampling`, how the ballots of a step are drawn:

{Sampling}

`Ladder`, what a hard step [climbs](ladder.md):

{Ladder}

## A run

What each run chooses anew, as keyword arguments of `run`, `resume`, `events` and, as far as they apply, `plan`.

| argument | usual | meaning |
| --- | --- | --- |
| `model` | `"pebble"` | `pebble`, `pebble-numpy` or `ponder` (embedded), `micro:FOLDER` (a [micro agent](distil.md)), the URL of a server, those of [several](replicas.md), or a `Model` |
| `redis` | `None` | a URL or a client; None starts the embedded one |
| `job` | made up | a name; a job of that name is taken up where it stands |
| `speculate` | `None` | a `Speculation`; see below |
| `budget` | `None` | a `Budget`; see below |
| `options` | `Options()` | how a server is asked; see below |
| `on_event` | `None` | a function that is told the [events](concepts.md#events) |
| `task` | the journal's | `resume` only: a task of your own |
| `limit` | the job's | `resume` only: samples that one step may use |
| `ladder` | the job's | `resume` only: the same [ladder](ladder.md) once more, where it has `Model` objects |
| `again` | `False` | `resume` only: take up a cancelled job |

`Speculation`, how far a run may ask ahead:

{Speculation}

`Budget`, where a run stops in order:

{Budget}

## A server

`Options`, how an OpenAI-compatible server is asked; times in seconds.

{Options}

## The voting proxy

`surefoot.serving.proxy.ProxySettings`, how [the proxy](proxy.md) votes, and what it lets in; times in seconds, sizes in bytes.

{ProxySettings}

## Environment variables

| variable | meaning |
| --- | --- |
| `SUREFOOT_API_KEY` | key of the model's server, on the command line; before `OPENAI_API_KEY` |
| `OPENAI_API_KEY` | the same; and the key of `--model openai`, in Python too |
| `OPENAI_BASE_URL` | where `--model openai` is; OpenAI itself if unset |
| `SUREFOOT_REDIS` | address of Redis, on the command line |
| `SUREFOOT_DASHBOARD_TOKEN` | what a person types into the page of `surefoot dashboard` to change anything |
| `SUREFOOT_HOME` | folder of the embedded Redis; `$XDG_STATE_HOME/surefoot` or `~/.local/state/surefoot` if unset |
| `XDG_STATE_HOME` | see above |
| `SUREFOOT_VLLM_PYTHON` | interpreter of the environment that has vLLM, for `surefoot serve` |
| `SUREFOOT_PROXY_KEY` | key that clients of `surefoot proxy` have to send |
| `VLLM_API_KEY` | key that a vLLM started by `surefoot serve` asks for |

For vLLM surefoot sets `HF_HUB_OFFLINE` (for a folder), `VLLM_NO_USAGE_STATS` and `VLLM_CPU_KVCACHE_SPACE`.
The variables of `docker-compose.yml` are in `.env.example`.

## Command line

Exit codes: 0 done; 1 failed, stalled or not solved; 2 bad input; 3 stopped in order by a budget; 130 interrupted (Ctrl-C).

{options}
"""


def table(kind: type[Any]) -> str:
    """Return the fields of a dataclass, each with its usual value and the first paragraph below it."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    said = {
        ast.unparse(field.target): inspect.cleandoc(str(ast.literal_eval(doc.value))).split("\n\n")[0]
        for field, doc in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr)
    }
    rows = [(f"`{f.name}`", usual(f), said[f.name]) for f in fields(kind)]
    return rows_of(("field", "usual", "meaning"), rows)


def usual(field: Any) -> str:
    """Return the value of a field that is not given; nothing for one that has to be."""
    if field.default_factory is not MISSING:
        return f"`{field.default_factory()!r}`"
    return "" if field.default is MISSING else f"`{field.default!r}`"


def rows_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) + " |"
        for line in lines
    )


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with its name."""
    command = command.load() if hasattr(command, "load") else command
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from commands(below, (*path, name))
    else:
        yield " ".join(path), command


def options() -> str:
    """Return every option of the command line, with the commands that have it."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for name, command in commands(group()):
        for option in command.params:
            if option.param_type_name == "option" and "--help" not in option.opts:
                flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
                plain = option.default is None or option.default is False or "\n" in str(option.default)
                found.setdefault((flags, "" if plain else f"`{option.default}`", option.help), []).append(
                    name
                )
    rows = [
        (flags, ", ".join(names), default, said) for (flags, default, said), names in sorted(found.items())
    ]
    return rows_of(("option", "of", "usual", "meaning"), rows)


def page() -> str:
    """Return the page."""
    kinds = (
        surefoot.Settings,
        surefoot.Sampling,
        surefoot.Ladder,
        surefoot.Speculation,
        surefoot.Budget,
        surefoot.Options,
        ProxySettings,
    )
    filled = {f"{{{kind.__name__}}}": table(kind) for kind in kinds} | {"{options}": options()}
    text = FRAME
    for hole, content in filled.items():
        text = text.replace(hole, content)
    return text


if __name__ == "__main__":
    PAGE.write_text(page())
