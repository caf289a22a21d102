"""What bench/thinking.py found: who lies on the front, a conclusion in plain words, and a page of it all."""

from collections.abc import Iterable, Sequence

from pages import table
from thinking_stats import Run, beats, discordant, mcnemar, paired, wilson

SURE = 0.05
TOLERATED = 0.01
"""What a setting may be less right than plain, if it is not surely so, and still count as no worse."""
PLAIN = "plain"
COLUMNS = (
    "control",
    "setting",
    "right",
    "95 %",
    "less plain",
    "95 %",
    "p",
    "thinking",
    "output",
    "of plain",
    "input",
    "",
    "note",
)
LEGEND = """\
*Right*: share of right answers, with its Wilson interval. *Less plain*: the difference from plain on the same problems, in points,
with its interval (Bonett and Price 2012) and McNemar's exact p. *Thinking*: mean tokens of the thinking, probes left out. *Output*: mean of all
output tokens, those of answers, probes and of streams that were broken off included; it is the cost by which settings are compared.
*Input*: mean input tokens of all requests, nearly all of them in a server's prefix cache: a stream that was closed and
answered reads its thoughts again. Not counted: what a server goes on writing while a control makes up its mind, until the abort reaches it; and the
verifier of *trim*, which is a rule here and costs nothing (the notes say how often a model would have been asked). *Steer* bears on the first letters of
the cue words, since ponder's tokens are letters; the shipped control looks the words' tokens up. Marks: **F** on the front (nothing is at least as right for less), **+** or **-** surely more or less
right than plain (p below 0.05), **x** dominated by plain (not more right, and not cheaper)."""


class Findings:
    """All runs of one difficulty, one of them plain."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        self.difficulty = runs[0].difficulty
        self.plain = next(run for run in runs if run.control == PLAIN)
        self.front = [run for run in runs if not any(beats(other, run) for other in runs)]

    def surely_better(self, run: Run) -> bool:
        won, lost = discordant(run, self.plain)
        return won > lost and mcnemar(won, lost) < SURE

    def surely_worse(self, run: Run) -> bool:
        won, lost = discordant(run, self.plain)
        return lost > won and mcnemar(won, lost) < SURE

    def cheapest(self, control: str) -> Run | None:
        """Return the cheapest setting of a control that is cheaper than plain and no worse."""
        good = [run for run in self.runs if run.control == control and self.no_worse(run)]
        return min(
            (run for run in good if run.output < self.plain.output), key=lambda run: run.output, default=None
        )

    def no_worse(self, run: Run) -> bool:
        """Whether a setting is neither surely less right than plain nor less right by more than what is tolerated."""
        return not self.surely_worse(run) and run.accuracy >= self.plain.accuracy - TOLERATED

    def controls(self) -> list[str]:
        return list(dict.fromkeys(run.control for run in self.runs if run.control != PLAIN))

    def rows(self) -> Iterable[list[str]]:
        for run in self.runs:
            won, lost = discordant(run, self.plain)
            alone = run is self.plain
            yield [
                run.control,
                run.setting,
                f"{run.accuracy:.1%}",
                "{:.1%} to {:.1%}".format(*wilson(run.hits, run.problems)),
                "" if alone else points(run.accuracy - self.plain.accuracy),
                "" if alone else " to ".join(map(points, paired(won, lost, run.problems))),
                "" if alone else f"{mcnemar(won, lost):.2g}",
                f"{run.thinking:.1f}",
                f"{run.output:.1f}",
                f"{run.output / self.plain.output:.0%}",
                f"{run.input:.0f}",
                self._marks(run),
                run.note,
            ]

    def _marks(self, run: Run) -> str:
        marks = {
            "F": run in self.front,
            "+": self.surely_better(run),
            "-": self.surely_worse(run),
            "x": beats(self.plain, run),
        }
        return " ".join(mark for mark, holds in marks.items() if holds)

    def conclusion(self) -> list[str]:
        """Say in plain words who wins and who loses."""
        plain = self.plain
        better = sorted(filter(self.surely_better, self.runs), key=lambda run: -run.accuracy)
        cheap = sorted(
            filter(None, map(self.cheapest, self.controls())), key=lambda run: (run.output, run.name)
        )
        front = sorted(self.front, key=lambda run: run.output)
        dominated = [run for run in self.runs if beats(plain, run)]
        worse = [run for run in self.runs if self.surely_worse(run) and run not in dominated]
        absent = [c for c in self.controls() if all(run.control != c for run in self.front)]
        return [
            f"Plain is right on {plain.accuracy:.1%} of {plain.problems:,} problems for {plain.output:.0f} output tokens each.",
            f"Surely more right than plain: {self._named(better)}.",
            f"Cheaper than plain and no worse, the cheapest setting of each control: {self._named(cheap)}.",
            f"The front, from cheap to dear: {self._named(front)}.",
            f"Controls that are nowhere on the front: {', '.join(absent) or 'none'}.",
            f"Losers, dominated by plain (not more right, and not cheaper): {self._named(dominated)}.",
            f"Cheaper, but surely less right: {self._named(worse)}.",
        ]

    def _named(self, runs: Sequence[Run]) -> str:
        return "; ".join(map(self.told, runs)) or "none"

    def told(self, run: Run) -> str:
        """Return a setting with its difference from plain in points and in tokens."""
        if run is self.plain:
            return PLAIN
        change = run.output / self.plain.output - 1
        return f"**{run.name}** ({points(run.accuracy - self.plain.accuracy)} points, {change:+.0%} tokens)"


def points(difference: float) -> str:
    return f"{100 * difference:+.1f}"


def page(title: str, about: str, found: Sequence[Findings], notes: Sequence[str]) -> str:
    """Return the whole page, with an overview first."""
    parts = [f"# {title}", about, overview(found), "## How to read the tables", LEGEND]
    parts.append("".join(f"- {note}\n" for note in notes).rstrip())
    for findings in found:
        parts += [
            f"## {findings.difficulty}",
            "".join(f"- {sentence}\n" for sentence in findings.conclusion()).rstrip(),
            f"![Accuracy against tokens]({image(findings.difficulty)})",
            table(COLUMNS, findings.rows()),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def overview(found: Sequence[Findings]) -> str:
    """Return a table of what each control saves without being surely less right."""
    controls = dict.fromkeys(control for findings in found for control in findings.controls())
    rows = []
    for control in controls:
        row = [control]
        for findings in found:
            best = findings.cheapest(control)
            on_front = any(run.control == control for run in findings.front)
            row.append((findings.told(best) if best else "nothing") + ", on the front" * on_front)
        rows.append(row)
    said = (
        "What each control saves at best and is no worse than plain (not surely less right, and not by more than a point), and "
        "whether any of its settings lies on the front. Among so many settings one in forty looks surely better, and one in forty surely worse, by chance."
    )
    by_control = table(["control", *(findings.difficulty for findings in found)], rows)
    return f"{said}\n\n{by_control}\n\n{one_for_all(found)}"


def one_for_all(found: Sequence[Findings]) -> str:
    """Say which settings are no worse than plain wherever they are used: what someone needs who cannot choose by difficulty."""
    plain = sum(findings.plain.output for findings in found)
    saving = []
    by_name = [{run.name: run for run in findings.runs} for findings in found]
    # A setting that could not be run somewhere is none for everything.
    for name in (name for name in by_name[0] if all(name in runs for runs in by_name)):
        runs = [runs[name] for runs in by_name]
        spent = sum(run.output for run in runs) / plain
        if spent < 1 and all(findings.no_worse(run) for findings, run in zip(found, runs, strict=True)):
            gained = sum(run.accuracy for run in runs) - sum(findings.plain.accuracy for findings in found)
            saving.append(
                (spent, f"**{name}** ({spent - 1:+.0%} tokens, {points(gained / len(runs))} points)")
            )
    named = "; ".join(text for _, text in sorted(saving)) or "none"
    return f"One setting for everything, cheaper in total and no worse than plain at any difficulty: {named}."


def image(difficulty: str) -> str:
    return f"thinking-{difficulty}.png"
