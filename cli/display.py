"""What a person sees: the live display of a run, and the one-page report at its end."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from surefoot.orchestration.progress import Progress
from surefoot.orchestration.report import Ahead, KindOfStep, Report, RungUse
from surefoot.voting.certainty import Purchase, samples_taken
from surefoot.voting.risk_budget import Spending
from surefoot.voting.rules import FirstToAheadBy

from .live import LiveDisplay
from .terminal import Terminal, styled

if TYPE_CHECKING:
    from surefoot.orchestration.plan import (
        Plan,  # loads the model clients, which lists and reports do without
    )
    from surefoot.orchestration.workers.stitched import StitchedReport  # loads the journal

FIRST_LINE_S = 1.0
"""Without a terminal the first line is printed as soon as something is done, and after so long in any case; an outage likewise."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S, PAUSE = 10.0, 300.0, 0.15
"""Then a line is printed after pauses that grow with the run: this share of the time so far."""
WAITING_LINE_EVERY_S = 5.0
"""While something is waited for, one line is printed this often instead."""
LOOK_EVERY_S = 0.2
SAMPLE_CHARACTERS = 200
ARGUMENT_CHARACTERS = 200


class ProgressDisplay(LiveDisplay):
    """Shows a `Progress`: live on a terminal, else by a line now and then."""

    def __init__(self, progress: Progress, terminal: Terminal | None = None, *, live: bool = True) -> None:
        self._progress = progress
        self._noted = 0
        super().__init__(terminal, live=live)

    def frame(self) -> RenderableType:
        """The table."""
        return progress_table(self._progress)

    def lines(self) -> None:
        """Print notes at once, and the counters after pauses that grow."""
        p, began = self._progress, time.monotonic()
        shown, pause, at_first = 0.0, FIRST_LINE_S, p.doing
        waits = False
        over = False
        while not over:
            over = self.over.wait(LOOK_EVERY_S)
            self._print_notes()
            if self.live is not None or over:
                continue
            now = time.monotonic() - began
            waits = waits and bool(p.waiting)
            longest = (WAITING_LINE_EVERY_S if waits else FIRST_LINE_S) if p.waiting else pause
            due = shown + min(pause, longest)
            if now >= due or (not shown and p.doing != at_first):
                self.terminal.print(progress_line(p), soft_wrap=True)
                waits = bool(p.waiting)
                shown, pause = now, min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, now * PAUSE))

    def _print_notes(self) -> None:
        for note in self._progress.notes[self._noted :]:
            self._noted += 1
            self.terminal.print(styled(note, "yellow"), soft_wrap=True)


def progress_table(progress: Progress) -> RenderableType:
    """The live display."""
    p = progress
    table = Grid()
    table.row("job", f"{p.job or '-'}   {p.doing} {p.task}")
    what = "steps" if p.k else "states"  # of which a calibration asks
    table.row(what, f"{_of(p.step, p.steps)}   {p.rate:,.1f}/s   ETA {_duration(p.eta_s)}")
    table.row("", ProgressBar(total=p.steps or 1, completed=min(p.step, p.steps or 1), width=50))
    if p.parts:
        table.row("parts", f"{p.parts_done:,} of {p.parts:,} done, by all workers")
    if p.k:
        _counters(table, p)
    if p.waiting:
        table.row("waiting", styled(p.waiting, "yellow"))
    return table


def _counters(table: "Grid", p: Progress) -> None:
    # Of steps decided again both count twice, so nobody can tell how many steps in sum the votes are for.
    rate = "" if p.reused else f"{p.votes / p.step if p.step else 0:.3f} per step   "
    table.row("votes", f"{p.votes:,}   {rate}k = {p.k}")
    if p.reused:
        table.row("reused", _reused(p.reused))
    table.row("contested", f"{p.contested:,} steps   {p.repairs} segments repaired")
    table.row("red flags", _flags(p.flags) or "none")
    table.row(
        "reliability",
        f"predicted {_chance(p.predicted)}, dissent allows {_chance(p.measured)}, if steps are alike",
    )
    table.row("tokens", token_counts(p.usage.known_all()))
    if p.rungs:
        table.row("ladder", _climbed(p.rungs))
    if p.ahead:
        table.row("ahead", _ahead(p.ahead, p.votes + p.flags.total()))
    table.row("durable", f"step {p.durable:,}, {p.durable_age_s:.1f} s ago")


def progress_line(progress: Progress) -> str:
    """The same on one line, for logs."""
    p = progress
    name = p.job or p.task
    said = f"{name}: {p.doing}, " if name else f"{p.doing}, "
    if p.votes:
        said += ", ".join(
            [
                f"step {_of(p.step, p.steps)}",
                f"{p.rate:,.1f}/s",
                f"ETA {_duration(p.eta_s)}",
                *([f"parts {_of(p.parts_done, p.parts)}"] if p.parts else []),
                f"votes {p.votes:,}",
                f"contested {p.contested:,}",
                f"red flags {_flags(p.flags) or 'none'}",
                f"tokens {count(p.usage.known('total'))}",
                *([f"reused {p.reused:,}"] if p.reused else []),
                *([f"ladder {_climbed(p.rungs)}"] if p.rungs else []),
                *([f"ahead {_ahead(p.ahead, p.votes + p.flags.total())}"] if p.ahead else []),
                f"durable step {p.durable:,} ({p.durable_age_s:.0f} s ago)",
            ]
        )
    elif p.step and not p.k:
        said += f"{_of(p.step, p.steps)} states, {_duration(p.elapsed_s)} so far"
    else:
        said += f"{_duration(p.elapsed_s)} so far"
    return said + (f"; waiting: {p.waiting}" if p.waiting else "")


def page(report: Report, then: str) -> RenderableType:
    """The one-page report; `then` is the command that a reader is likely to want next, if any."""
    r = report
    verdict = (
        Text("SOLVED", style="bold green") if r.solved else styled(f"NOT SOLVED ({r.status})", "bold red")
    )
    table = Grid()
    table.row("result", verdict)
    table.row("job", r.job)
    table.row("task", f"{r.task} {arguments(r.spec)}")
    table.row("model", ", then ".join(r.models))
    if whole := _stitched(r):
        table.row("stitched", _parts(whole))
    table.row("steps", _of(r.steps, r.steps_expected))
    table.row("read back", _read_back(r))
    table.row("votes", f"{r.votes:,} in {r.samples:,} samples, k = {r.k}")
    if r.reused:
        table.row("reused", _reused(r.reused))
    table.row("red flags", _flags(r.red_flags) or "none")
    table.row("contested", f"{r.contested:,} steps, {r.dissent_rate:.3%} of votes against the winner")
    table.row("repaired", f"{r.repairs:,} segments")
    table.row("risk", _risk(r))
    for kind in r.kinds:
        table.row("kind" if kind is r.kinds[0] else "", _kind(kind))
    table.row("tokens", token_counts(r.tokens.model_dump()))
    for use in r.rungs:
        table.row("ladder" if use is r.rungs[0] else "", _rung(use))
    if (s := r.speculation) is not None:
        table.row("speculation", _speculation(s))
    table.row("wall time", _wall_time(r))
    if whole and whole.workers:
        table.row("workers", ", ".join(f"{name} {steps:,} steps" for name, steps in whole.workers.items()))
    if r.calibration is not None:
        c = r.calibration
        spent = (
            f"{c.samples:,} samples, {count(c.tokens)} tokens, {_duration(c.wall_s)} before the first step"
        )
        table.row("calibration", spent)
    table.row("final hash", r.head or "none, not all parts are done")
    parts: list[RenderableType] = [table]
    if r.hard is not None:
        parts += [r.hard.why, *(styled(f"  hard: {state}", "yellow") for state in r.hard.states)]
    if r.drift is not None:
        parts.append(styled(r.drift, "bold yellow"))
    if r.contested_steps:
        parts.append(_contests(r))
    if whole:
        parts += [styled(fault, "yellow") for fault in whole.faults]
    if r.stopped is not None:
        parts.append(styled(r.stopped, "yellow"))
    if r.question is not None:
        choices = " or ".join(r.question["choices"])
        asked = f"step {r.question['step']:,} asks: {r.question['question']}" + (
            f" ({choices})" if choices else ""
        )
        parts.append(styled(asked, "yellow"))
    if r.stall is not None:
        parts.append(_stall(r))
    if then:
        parts.append(styled(then, "dim"))
    return Group(*parts)


def forecast_table(plan: "Plan") -> RenderableType:
    """What a plan promises and what it costs."""
    c, f = plan.calibration, plan.forecast
    table = Grid()
    table.row("steps", f"{plan.steps:,}, wanted all right with probability {plan.reliability:g}")
    table.row(
        "calibrated", f"{c.samples:,} samples of {c.states:,} different states, {c.valid_rate:.2%} valid"
    )
    table.row(
        "error rate",
        f"{c.error_rate:.4%} observed, {c.error_bound:.4%} at most ({c.confidence:.0%} confidence)",
    )
    table.row("hard states", f"{c.hard:,} of {c.judged:,}, a share of at most {c.hard_bound:.3%}")
    if f is not None:
        if isinstance(plan.rule, FirstToAheadBy):
            table.row("k", f"{f.k} (the observed rate alone: {plan.choice.k_at_point_estimate})")
            table.row("risk", f"{plan.risk:.3g} at the bound, {f.risk:.3g} at the observed rate")
        else:
            assert plan.rule is not None
            for name, kind in plan.rule.kinds.items():
                table.row(f"leads {name!r}" if name else "leads", _leads(kind))
            table.row("risk", f"{f.risk:.3g} at the bounds")
        if plan.risk_bound is not None:
            table.row("however", f"{plan.risk_bound:.3g} at most, however steps differ")
        table.row("votes", f"{f.votes:,.0f} in {f.samples:,.0f} samples")
        table.row("tokens", f"{count(f.input_tokens)} in, {count(f.output_tokens)} out")
        if f.cost is not None:
            table.row("cost", f"{f.cost:,.2f}")
        table.row("time", f"about {_duration(plan.seconds)} one step after the other, at the speed measured")
    for each in plan.purchases:
        table.row("surer by" if each is plan.purchases[0] else "", _purchase(each))
    return Group(table, plan.why)


def _purchase(p: Purchase) -> str:
    """Say what a purchase takes, as far as that can be said, and what it gives."""
    taken = [samples_taken(p)]
    if p.tokens:
        taken.append(f"{count(p.tokens)} tokens")
    if p.cost:
        taken.append(f"{p.cost:,.2f}")
    if p.seconds is not None:
        taken.append(_duration(p.seconds))
    gain = (
        "a gain that only trying tells"
        if p.risk_bound is None
        else f"then a risk of {p.risk_bound:.3g} at most"
    )
    return f"{p.detail}: {', '.join(taken)}; {gain}"


def _kind(k: KindOfStep) -> str:
    """Say how steps of a kind went, beside what was to be expected."""
    name = "not met by the calibration" if k.kind is None else repr(k.kind) if k.kind else "all steps"
    expected = (
        "" if k.dissent_predicted is None else f", {k.dissent_predicted:.3%} at most were to be expected"
    )
    return f"{name}: {k.votes:,} votes, {k.dissent_rate:.3%} against the winner{expected}"


def _leads(kind: Spending) -> str:
    """Say by which leads steps of a kind are decided."""
    low, high = (", ".join(map(str, margins.leads)) for margins in (kind.low, kind.high))
    mixed = f"{low} for {kind.share:.2%} of the steps, {high} for the others" if kind.share else high
    return f"{mixed}, by dissent from 0 on; {kind.votes:.3f} votes a step"


def sample_lines(texts: Iterable[str]) -> list[Text]:
    """The few samples that a stall keeps as examples, a line each."""
    return [styled(f"  sample: {text[:SAMPLE_CHARACTERS]!r}", "yellow") for text in texts]


class Grid(Table):
    """Names and values in two columns."""

    def __init__(self) -> None:
        super().__init__(
            padding=(0, 2),
            box=None,
            collapse_padding=True,
            pad_edge=False,
            show_header=False,
            show_footer=False,
            show_edge=False,
        )
        self.add_column(style="dim", overflow="fold")
        self.add_column(overflow="fold")  # an id or a hash is never cut off

    def row(self, name: str, value: RenderableType) -> None:
        """Add a line."""
        self.add_row(name, value)


def _contests(r: Report) -> RenderableType:
    first = "" if len(r.contested_steps) == r.contested else f" (the first {len(r.contested_steps)})"
    table = Table(f"contested step{first}", "winner", "votes", "against", box=None, title_justify="left")
    for contest in r.contested_steps:
        against = ", ".join(f"{answer} ({votes})" for answer, votes in contest.against.items())
        table.add_row(f"{contest.step:,}", contest.winner, str(contest.votes), against)
    return table


def _stall(r: Report) -> RenderableType:
    assert r.stall is not None
    tally = ", ".join(f"{answer}: {votes}" for answer, votes in r.stall["tally"].items()) or "no valid ballot"
    flags = _flags(r.stall["red_flags"]) or "none"
    what = styled(f"step {r.stall['step']:,} stalled; votes: {tally}; red flags: {flags}", "yellow")
    return Group(what, *sample_lines(r.stall["examples"]))


def _stitched(r: Report) -> "StitchedReport | None":
    return cast("StitchedReport", r) if getattr(r, "kind", "") == "stitched" else None


def _parts(r: "StitchedReport") -> str:
    done = sum(part.status == "done" for part in r.parts)
    return f"{done:,} of {len(r.parts):,} parts done, each from a state known in advance; the first is job {r.parts[0].job}"


def _wall_time(r: Report) -> str:
    whole = _stitched(r)
    seconds = whole.elapsed_s if whole else r.wall_s
    said = f"{_duration(seconds)}   {r.steps / seconds if seconds else 0:,.1f} steps/s"
    return f"{said}   {_duration(r.wall_s)} of work" if whole else said


def _read_back(r: Report) -> str:
    if _stitched(r):
        return "the ends of the parts that are done, each compared with the start of the next"
    if not r.steps:
        return "nothing, no step is decided"
    return f"the last {r.steps_read_back:,} steps" if r.steps_read_back else "none, it is being run"


def _risk(r: Report) -> str:
    alike = "of the kinds calibrated" if r.rule == "budget" else "alike"
    predicted = "not calibrated" if r.risk is None else f"{r.risk:.3g} predicted if steps are {alike}"
    if r.risk_bound is not None:
        predicted += f", {r.risk_bound:.3g} at most however they differ"
    if r.risk is not None and len(r.models) > 1:
        predicted += f" (calibrated with {r.models[0]} alone)"
    if r.rule == "budget":
        return predicted
    if not r.votes:
        return f"{predicted}; no votes yet"
    if r.risk_measured is None:
        # A task may want larger leads than k, as agents and goals do: then there are votes that can, and no rule for all.
        why = "the task has leads of its own" if r.contested else f"at k = {r.k} no vote can dissent"
        return f"{predicted}; {why}"
    return f"{predicted}; the run's own dissent allows {r.risk_measured:.3g}"


def _reused(steps: int) -> str:
    return f"{steps:,} steps took the verdict of an earlier one that asked the same, without a vote"


def _chance(chance: float | None) -> str:
    return "?" if chance is None else f"{chance:.6g}"


def _ahead(count: Counter[str], samples: int) -> str:
    accepted, wasted = count["accepted"], count["wasted_samples"]
    return (
        f"{count['depth'] / max(1, count['decisions']):.1f} steps, "
        f"{accepted / max(1, accepted + count['rejected']):.2%} accepted, "
        f"{wasted / max(1, wasted + samples):.1%} of samples wasted"
    )


def _climbed(count: Counter[str]) -> str:
    rungs = [name.removesuffix(":climbed") for name in count if name.endswith(":climbed")]
    return ", ".join(
        f"{rung} {count[f'{rung}:climbed']:,} ({count[f'{rung}:decided']:,} decided)" for rung in rungs
    )


def _rung(use: RungUse) -> str:
    if not use.climbed:
        return f"{use.rung}: no step climbed so far"
    steps = ", ".join(f"{step:,}" for step in use.steps)
    more = ", ..." if len(use.steps) < use.decided else ""
    which = f" (step {steps}{more})" if steps else ""
    return (
        f"{use.rung}: {use.climbed:,} steps climbed, {use.decided:,} decided{which}, {use.samples:,} samples"
    )


def _flags(flags: dict[str, int]) -> str:
    return ", ".join(f"{reason}: {count:,}" for reason, count in flags.items())


def arguments(spec: Mapping[str, object]) -> str:
    """Return a task's arguments on a line, long ones cut: a problem may be a book, and so may its outline.  JSON has all of them."""
    return " ".join(f"{name}={_cut(str(value))}" for name, value in spec.items())


def _cut(text: str) -> str:
    return text if len(text) <= ARGUMENT_CHARACTERS else f"{text[:ARGUMENT_CHARACTERS]}..."


def count(number: float | None) -> str:
    """Return a number as a person reads it; None is unknown, never 0."""
    return "unknown" if number is None else f"{number:,.0f}"


def token_counts(known: Mapping[str, int | None]) -> str:
    """Return tokens in words, as `Usage.known_all` has them."""
    said = f"{count(known['prompt'])} in ({count(known['cached'])} cached), {count(known['completion'])} out"
    return said + _left_out(known["uncounted"] or 0)


def _left_out(uncounted: int) -> str:
    if not uncounted:
        return ""
    return f"; of {uncounted:,} samples the server did not say all, and they are not in these sums"


def _of(step: int, steps: int | None) -> str:
    return f"{step:,}" if steps is None else f"{step:,} of {steps:,}"


def _speculation(s: Ahead) -> str:
    said = (
        f"{s.acceptance:.2%} accepted, {s.depth:.1f} steps ahead on average, "
        f"{s.wasted_samples:,} samples wasted ({s.waste:.1%}), {count(s.wasted_tokens)} tokens"
    )
    if s.draft_tokens != 0:
        said += f"; the draft's own {count(s.draft_tokens)} tokens"
    return said + _left_out(s.uncounted)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
