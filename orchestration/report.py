"""What the report of a job says: what was decided, at what price, how sure.  `reporting` derives it from the journal."""

from typing import Any, Literal

from pydantic import BaseModel

Bound = Literal["steps", "tokens", "cost", "wall_time", "working_time"]
"""What of a budget stopped a run in order."""


class Contest(BaseModel):
    """A step on which ballots differed."""

    step: int
    winner: str
    votes: int
    against: dict[str, int]
    """The losing candidates, written for a person, and their votes."""


class Tokens(BaseModel):
    """Tokens of all samples that went into the journal, withdrawn segments included; work lost in a crash is not known.

    None where the server said nothing; where it counted some samples only, the sums are those of the others.
    """

    prompt: int | None
    cached: int | None
    completion: int | None
    reasoning: int | None
    total: int | None
    uncounted: int = 0
    """Samples of which the server did not say what they cost, or not all of it."""


class Spent(BaseModel):
    """What the calibration took before the first step; not part of the job's own figures."""

    samples: int
    tokens: int | None
    """None if the server did not say."""
    wall_s: float


class Hard(BaseModel):
    """What the calibration met of hard states, whose most frequent answer is wrong, or which hardly have one."""

    judged: int
    """States with enough samples to tell."""
    found: int
    share_bound: float
    """Upper bound, at 95 % confidence, of the share of such states in the task."""
    steps_bound: float | None
    """So many steps of the job may be hard; None if its length is unknown."""
    states: list[str]
    """A few of those found."""
    why: str
    """What the risk leaves out, in plain sentences."""


class KindOfStep(BaseModel):
    """Steps of one kind, of a job whose risk is spent step by step."""

    kind: str | None
    """As the task calls it; "" where it tells no kinds apart, and None of those that the calibration had not met."""
    votes: int
    dissent_rate: float
    """Share of votes against the winner of their step."""
    dissent_predicted: float | None
    """What it is no larger than, as far as the calibration knows."""
    leads: list[list[int]]
    """The leads that decide, by dissent: of the cheaper and of the safer table."""
    share: float | None
    """Of the steps that are decided by the cheaper one."""


class Ahead(BaseModel):
    """What speculation did, over all runners that used it; the decisions are what they would have been without."""

    asked_ahead: int
    """Steps that were asked about before their turn."""
    accepted: int
    """Of these, the steps whose state was the right one."""
    acceptance: float
    """Share of right states among those whose predecessor's was right."""
    depth: float
    """Steps that were open ahead of a decision, on average."""
    wasted_samples: int
    wasted_tokens: int | None
    """Drawn for states that did not come true, not part of `tokens`; those of samples that were cut off are estimated.

    None where the server said nothing.
    """
    waste: float
    """Share of wasted samples among all."""
    draft_tokens: int | None
    """What a draft that asks a model has spent, as far as it knows; not part of `tokens` either.  None where its server said nothing."""
    uncounted: int = 0
    """Samples wasted or of the draft of which the server did not say what they cost, or not all of it."""


class Stall(BaseModel, extra="allow"):
    """Where a stalled job stands."""

    step: int
    tally: dict[str, int]
    red_flags: dict[str, int]
    examples: list[str]


class Question(BaseModel, extra="allow"):
    """What a person has to decide before a job can go on.

    One that a ladder asks has `candidates` besides: the answers that the choices stand for, as the journal has them, with their votes.
    """

    id: str
    """Of this question alone: the step, and the beginning of the hash chain's head there."""
    step: int
    question: str
    choices: list[str]
    """What may be answered; empty if anything may."""


class RungUse(BaseModel):
    """What one rung of the ladder did."""

    rung: str
    """As the settings have it."""
    climbed: int
    """Steps that got so far.  Like votes, those of segments decided again count twice."""
    decided: int
    """Of these, the steps that it decided."""
    samples: int
    """What it took; none of them is among the job's `samples`, the tokens of all are among its `tokens`."""
    steps: list[int]
    """The first few that it decided."""


class Report(BaseModel):
    """One job, at its end or wherever it stands."""

    job: str
    task: str
    spec: dict[str, Any]
    models: list[str]
    """Who was asked, in order; more than one if the job was resumed with another model."""
    status: str
    solved: bool
    """Whether the job is done and its result passed the task's own check, from outside the model."""
    steps: int
    steps_read_back: int
    """So many of them, the latest, were read for this report, and continue the hash chain to `head`; 0 while a job runs."""
    steps_expected: int | None
    votes: int
    samples: int
    reused: int = 0
    """Steps that took the verdict of an earlier one that asked the same: no votes and no samples are theirs.  Like votes, those of segments
    decided again count twice."""
    red_flags: dict[str, int]
    contested: int
    """Steps on which ballots differed; like votes and red flags, those of segments decided again count twice."""
    contested_steps: list[Contest]
    """The first few of them."""
    repairs: int
    """Segments that failed their audit and were decided again with a larger k."""
    k: int
    reliability: float | None
    """What was asked for; None if k was given."""
    risk: float | None
    """Predicted chance of at least one wrong step if all are alike, from the bound of the calibration; None without one."""
    risk_bound: float | None = None
    """What the chance of a wrong step does not exceed however steps differ, at 95 % confidence; None if nothing bounds it."""
    rule: Literal["lead", "budget"] = "lead"
    """What decides the steps: a lead of k, or a risk budget, whose smallest lead k is then."""
    kinds: list[KindOfStep] = []
    """Of a job with a risk budget."""
    drift: str | None = None
    """Why the run is not as it was calibrated, so that no risk above holds any more; None as long as it may be."""
    hard: Hard | None
    """Why steps may not be alike; None if k was given."""
    dissent_rate: float
    """Share of votes against the winner of their step."""
    dissent_bound: float | None
    """Upper bound, at 95 % confidence, of the error per vote that the dissent allows; None at k = 1, where no vote can dissent."""
    risk_measured: float | None
    """`risk` at the `dissent_bound`; None with a risk budget, too.  Mistakes that all ballots of a step share leave no dissent."""
    tokens: Tokens
    rungs: list[RungUse] = []
    """What the ladder did, from the first rung on; empty if there is none."""
    speculation: Ahead | None = None
    """None if nothing was asked ahead."""
    wall_s: float
    """Seconds of work over all runners, waits included, each from taking the job to its last commit, or to its end in order."""
    calibration: Spent | None
    """None if k was given."""
    head: str
    """The hash chain's head: two runs that decided the same steps have the same."""
    stall: dict[str, Any] | None = None
    """Where a stalled job stands: step, tally, red flags and example samples."""
    question: dict[str, Any] | None = None
    """What a job that is `asking` wants to know: step, question and choices."""
    stopped: str | None = None
    """Why the run stopped in order before the job was done: its budget, after which resuming goes on, or what failed."""
    bound: Bound | None = None
    """What of the budget it was, in a word; None if it was none, and of runs that ended before this was written down."""
