"""Writes docs/export.md from the schema: `python docs/export.py`.  A test compares the two; `--print` prints the page instead."""

import ast
import inspect
import sys
import textwrap
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from configuration import rows_of

from surefoot.orchestration.exports import (
    CandidateVotes,
    ExportedCall,
    ExportedExample,
    ExportedMessage,
    ExportedResult,
    ExportedRung,
    ExportedSample,
    ExportedStep,
    ExportedTurn,
    FlagCount,
)

PAGE = Path(__file__).with_suffix(".md")
FRAME = """\
# Export

Jobs as tables, for pandas, polars, DuckDB or a spreadsheet. Everything comes from the journal, so it works while a job runs and after it.

```console
$ surefoot export tall --to steps.jsonl                            # lines of JSON, one a step
$ surefoot export tall --to steps.parquet                          # Parquet: pip install 'surefoot[parquet]'
$ surefoot export tall wide --table results --to results.parquet   # a row a job
$ surefoot export agent-1 --table turns --to turns.jsonl           # what an agent did and saw, turn by turn
$ surefoot export tall --table samples --to samples.jsonl          # the raw samples that were kept
$ surefoot export tall --table examples --to examples.jsonl        # prompts with their elected answers, to train on
$ surefoot export agent-1 --to agent-1.eval                         # a log for `inspect view`: pip install 'surefoot[inspect]'
```

The same from Python; here with a model that errs in one sample of ten:

```python
import asyncio
import json

import surefoot
from surefoot.models.doubles import towers_double
from surefoot.orchestration.exports import export, exported


async def main():
    task, settings = surefoot.Towers(5, "compact"), surefoot.Settings(k=3)
    report = await surefoot.run(task, settings, model=towers_double(error=0.1), job="tall")
    rows = await export("tall", "steps.jsonl")
    assert rows == report.steps == 31
    contested = [row.step async for row in exported("tall") if row.against]
    assert len(contested) == report.contested
    await export("tall", "results.parquet", table="results")


asyncio.run(main())
with open("steps.jsonl") as lines:
    steps = [json.loads(line) for line in lines]
assert all(step["margin"] >= 3 for step in steps)
```

`pandas.read_json("steps.jsonl", lines=True)` and `polars.read_parquet("steps.parquet")` read the files as they are.

- Both forms have the same rows and the same columns. A column has one type whatever the task is: values of a task are JSON texts.
- The file appears as a whole or not at all. A job that grows meanwhile is exported as it stood when it was read.
- Every record is verified along the hash chain on the way; a damaged one ends the export and is named.
- Memory is that of one segment, and of 16 MiB of rows that wait for Parquet: for a million steps [55 and 244 MB](../bench/results/exports.md).
- What is unknown is null and never 0: tokens of a server that does not count them, for one.
- The journal keeps no time of a step and no raw thoughts, so neither is in a table.
- Exports hold what the model and the tools said. They are yours to protect, as the journal is.
- Fields may be added later; none is renamed or given another meaning.

A [stitched job](workers.md) is one job in each table; its steps are counted over the whole, and those of parts not begun yet are missing.

## Logs for inspect

`--to FILE.eval` writes a log of [inspect_ai](https://inspect.aisi.org.uk) with that package's own API; `inspect view` opens it, and its readers take it.
[inspect_ai](inspect.md) has a picture, and what else the two do together.

- An agent's run is one sample: the conversation, and for each turn the model call, the vote and the tool calls. Its score `done` is 1 for a job that is done.
- Of any other job each step whose samples were kept is a sample, up to 1,000 a job: the vote, its prompt, if the task is known here, and every raw sample as a
  model call, with the red flag of one that was thrown away. Its score `agreement` is the share of ballots for the winner. No target is claimed: nobody knows the right answer.
- The journal has neither times of steps nor thoughts: all events have the time at which the job began. The log is made in memory, as a whole.

"""
TABLES = (
    ("steps", "One row a decided step.", ExportedStep),
    ("results", "One row a job: what its report says, in columns.", ExportedResult),
    ("turns", "One row a turn of an agent.", ExportedTurn),
    (
        "samples",
        "One row a raw sample that was [kept](journal.md): of contested and flagged steps up to a bound, and of one in a thousand others.",
        ExportedSample,
    ),
    (
        "examples",
        "One row for each view of a step that an election decided: what was asked, and its answer, to [train](distil.md) on. The task has to be known: `--task`.",
        ExportedExample,
    ),
)
PARTS = (CandidateVotes, FlagCount, ExportedRung, ExportedCall, ExportedMessage)
WORDS = {str: "text", int: "integer", float: "number", bool: "true or false"}


def schema(kind: type[Any]) -> str:
    """Return the fields of a row, each with its type and the text below it."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    said = {
        ast.unparse(field.target): inspect.cleandoc(str(ast.literal_eval(doc.value)))
        for field, doc in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr)
    }
    types = get_type_hints(kind)
    rows = [(f"`{each.name}`", words(types[each.name]), said.get(each.name, "")) for each in fields(kind)]
    return rows_of(("field", "type", "meaning"), rows)


def words(kind: Any) -> str:
    """Write a type for a reader."""
    parts = get_args(kind)
    if NoneType in parts:
        return f"{words(parts[0])} or null"
    if get_origin(kind) is list:
        return f"list of {words(parts[0])}"
    return WORDS.get(kind) or f"`{kind.__name__}`"


def page() -> str:
    """Return the page."""
    tables = [f"## The table `{name}`\n\n{about}\n\n{schema(kind)}\n" for name, about, kind in TABLES]
    parts = [f"`{kind.__name__}`: {inspect.getdoc(kind)}\n\n{schema(kind)}\n" for kind in PARTS]
    return FRAME + "\n".join([*tables, "## Rows within rows\n", *parts])


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.buffer.write(page().encode())
    else:
        PAGE.write_text(page())
