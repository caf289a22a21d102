"""`surefoot show --step`: one decision, its tally and, where they were kept, its samples."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult

from surefoot.orchestration.journal.jobs import Job
from surefoot.orchestration.journal.records import frozen
from surefoot.orchestration.record import Record
from surefoot.orchestration.reporting import answer_line, shown
from surefoot.orchestration.task_of_job import task_known
from surefoot.printable import printable

from .display import Grid, token_counts

TEXT_CHARACTERS = 2_000
"""So much of a sample is shown; JSON has all of it."""


class StepView(NamedTuple):
    """One decided step of a job."""

    job: Job
    record: Record
    samples: Sequence[Mapping[str, Any]] | None
    """As `kept` returns them."""

    def row(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**self.record._asdict(), "usage": self.record.usage.known_all(), "samples": self.samples}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        record = self.record
        table = Grid()
        table.row("job", self.job.id)
        table.row("step", f"{record.step:,} of {self.job.step:,} decided")
        table.row("winner", self._line(record.answer))
        if record.reused is None:
            table.row("votes", f"{record.votes:,} for the winner, {record.against:,} against")
        else:
            table.row("votes", f"none; the verdict is that of step {record.reused:,}, which asked the same")
        for answer, votes in record.others:
            table.row("", f"{votes:,} for {self._shown(answer)}")
        for rung, samples, tally in record.rungs:
            said = ", ".join(f"{count:,} for {self._shown(answer)}" for answer, count in tally)
            table.row("ladder", f"{rung}: {said or 'no election'}; {samples:,} samples")
        flags = ", ".join(f"{reason}: {count:,}" for reason, count in record.flags.items())
        table.row("red flags", flags or "none")
        table.row("tokens", token_counts(record.usage.known_all()))
        if record.reused is not None:
            table.row("samples", "none were drawn")
        elif self.samples is None:
            table.row("samples", "not kept, as of most steps on which all ballots agree")
        else:
            table.row("samples", f"{len(self.samples):,}, in the order in which they count")
            for sample in self.samples:
                self._add(table, sample)
        yield table

    def _add(self, table: Grid, sample: Mapping[str, Any]) -> None:
        if "flag" in sample:
            fate = f"red flag {sample['flag']}: {sample.get('detail')}"
        else:
            fate = f"a vote for {self._shown(frozen(sample.get('ballot')))}"
        text = str(sample.get("text"))
        more = len(text) - TEXT_CHARACTERS
        table.row(f"  number {sample.get('number')}", f"{fate}; ended by {sample.get('finish')!r}")
        table.row("", repr(text[:TEXT_CHARACTERS]) + (f" and {more:,} characters more" if more > 0 else ""))

    def _line(self, answer: Any) -> str:
        """Write the winner: what a codec has written is for no person, where the task has words for it."""
        task = task_known(self.job)
        if task is None or task.answer_codec is None:
            return self._shown(answer)
        return printable(answer_line(task, answer))

    def _shown(self, answer: Any) -> str:
        """Write an answer for a person, in the task's words if they are known here."""
        text = shown(task_known(self.job), answer)
        more = len(text) - TEXT_CHARACTERS
        return text[:TEXT_CHARACTERS] + (f" and {more:,} characters more" if more > 0 else "")
