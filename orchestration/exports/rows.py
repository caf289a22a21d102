"""The schema of an export: one kind of row a table, each field with its type and its meaning.

The tables of docs/export.md, the columns of a Parquet file and the tests are made from these classes.  Fields are only ever added.
A field of a row holds a text, a number, a truth value, a list of these, or a list of rows.  Values of a task, which have any form,
are JSON texts, so that a column has one type whatever the task is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ExportTable = Literal["results", "steps", "turns", "samples", "examples"]
"""The tables: jobs as a whole, decided steps, the turns of agents, the raw samples that were kept, and prompts with their elected answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagCount:
    """Samples that were thrown away for one reason."""

    reason: str
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateVotes:
    """What one answer of an election got."""

    answer: str
    """JSON, as the journal has it."""
    votes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRung:
    """What a ladder's rung took, and found, at a step."""

    rung: str
    samples: int
    tally: list[CandidateVotes]
    """Of the rung's own election; empty for a rung that holds none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedStep:
    """One decided step."""

    job: str
    """The name by which `surefoot jobs` lists it."""
    part: int | None
    """Of a stitched job, counted from 0; null for a job in one piece."""
    step: int
    """Counted from 0, over the whole job."""
    segment: int
    """In which it was sealed, counted within the job or the part."""
    answer: str
    """The winner: JSON, as the journal has it."""
    shown: str
    """The winner in the task's words where the task is given or known here, else as the journal has it."""
    votes: int
    """Ballots for the winner in the step's own election; 0 where the world has decided, or the verdict was reused."""
    against: int
    """Ballots for other answers."""
    margin: int
    """Votes for the winner less those for the next best answer.  Where a ladder has decided it may be any number, also a negative one."""
    tally: list[CandidateVotes]
    """The winner first; empty where there was no election."""
    flags: list[FlagCount]
    """Red flags: samples thrown away, by reason."""
    samples: int
    """Ballots and red flags together; those of a ladder's rungs are not among them."""
    rungs: list[ExportedRung]
    """What a step climbed that its own election left undecided; the last one decided."""
    reused: int | None
    """The earlier step, which asked the same, whose verdict was taken; null if it is the step's own."""
    prompt_tokens: int | None
    """Of all samples of the step, the cached ones included; null where the server said nothing."""
    cached_tokens: int | None
    """Of these, found in the server's prefix cache: at least so many."""
    completion_tokens: int | None
    """The reasoning ones included."""
    reasoning_tokens: int | None
    uncounted: int
    """Samples of which the server did not say what they cost, or not all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedCall:
    """One call of a tool, and what the world answered."""

    tool: str
    arguments: str
    """JSON, as the model wrote it."""
    allowed: bool | None
    """What a person said to it; null where nobody was asked."""
    outcome: str | None
    """`done`, `failed`, `refused`, `unknown` (the run was interrupted in the call); null where there is no observation yet."""
    observation: str | None
    code: int | None
    """Exit code of a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedTurn:
    """One turn of an agent: what was decided, and what was seen.  Raw thoughts never reach the journal, so they are not here."""

    job: str
    turn: int
    """Counted from 1."""
    step: int
    """The step at which it was decided."""
    prose: str
    """What the model said around its calls."""
    calls: list[ExportedCall]
    """Empty in a turn that ends the run with an answer."""
    summary: str | None
    """What the model wrote about earlier turns that no longer fitted, just before this one."""
    votes: int
    against: int
    flags: list[FlagCount]
    prompt_tokens: int | None
    """Of the turn's decision alone; a summary's tokens are in the table of steps."""
    cached_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    uncounted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedSample:
    """One raw sample that was kept: of contested and flagged steps up to a bound, and of one in a thousand others."""

    job: str
    part: int | None
    step: int
    """As in the table of steps."""
    number: int
    """In the order in which the step's samples count."""
    text: str
    finish: str | None
    """Why the model stopped, in the words of the OpenAI API."""
    ballot: str | None
    """The answer that was read from it: JSON, as the journal has it; null for a sample thrown away."""
    flag: str | None
    """The red flag; null for a ballot."""
    detail: str | None
    """What was wrong with it, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedMessage:
    """One message of a prompt."""

    role: str
    """Empty where the prompt is one text and no chat."""
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedExample:
    """What was asked at a step, and a text that says what was elected: an example to train on."""

    job: str
    part: int | None
    step: int
    """As in the table of steps."""
    view: int
    """Of the task's ways to ask; a step has a row for each of them."""
    prompt: list[ExportedMessage]
    answer: str
    """As a model writes it: the task reads the elected answer from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedResult:
    """One job as a whole, finished or not: what its report says, in columns."""

    job: str
    """The name by which `surefoot jobs` lists it."""
    task: str
    spec: str
    """The task's arguments: a JSON object, pictures left out."""
    models: list[str]
    """Who was asked, in order."""
    status: str
    """`done`, `running`, `stopped` (may be resumed), `asking`, `failed`, `stalled` or `cancelled`."""
    solved: bool
    """Whether the job is done and its result passed the task's own check."""
    parts: int | None
    """Of a stitched job; null for a job in one piece."""
    steps: int
    steps_expected: int | None
    rule: str
    k: int
    reliability: float | None
    """What was asked for; null if k was given."""
    risk: float | None
    """Predicted chance of at least one wrong step if all are alike."""
    risk_bound: float | None
    """What that chance does not exceed however steps differ, at 95 % confidence."""
    drift: str | None
    """Why no risk holds any more; null as long as it may."""
    votes: int
    samples: int
    """Ballots and red flags together."""
    reused: int
    """Steps that took the verdict of an earlier one."""
    contested: int
    """Steps on which ballots differed."""
    flags: list[FlagCount]
    """Red flags: samples thrown away, by reason."""
    repairs: int
    """Segments that failed their audit and were decided again."""
    dissent_rate: float
    """Share of votes against the winner of their step."""
    dissent_bound: float | None
    """Upper bound, at 95 % confidence, of the error per vote that the dissent allows."""
    prompt_tokens: int | None
    """Tokens of all samples in the journal, segments that were decided again included; null where the server said nothing."""
    cached_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    uncounted: int
    wall_s: float
    """Seconds of work over all runners."""
    created: float
    """Seconds since 1970, UTC."""
    updated: float
    """The latest commit."""
    head: str
    """The hash chain's head: two runs that decided the same steps have the same."""


ExportedRow = ExportedResult | ExportedStep | ExportedTurn | ExportedSample | ExportedExample

KINDS: Mapping[ExportTable, type[ExportedRow]] = MappingProxyType(
    {
        "results": ExportedResult,
        "steps": ExportedStep,
        "turns": ExportedTurn,
        "samples": ExportedSample,
        "examples": ExportedExample,
    }
)
"""The rows of each table."""
