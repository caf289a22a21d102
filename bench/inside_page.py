"""The page of bench/inside.py: what was predicted, what came, in whose favour."""

import argparse
from collections.abc import Sequence

from inside_laboratory import InsideRun
from pages import origin, table
from thinking_page import TOLERATED, points
from thinking_stats import discordant, mcnemar, paired, wilson

from surefoot.agents.reasoning import Direction, SteeringVector
from surefoot.models.local import HeadStudy, Trial

PREDICTED = """\
Written down before the first run of this bench, from a smaller trial (200 to 350 problems, T = 1, code that is not this):

- **Exits**: hidden states carry a signal (area under the ROC curve 0.62 to 0.70 before a cue), and a weaker one than the answer that is forced there (0.74 to
  0.86), because ponder was trained to doubt in that answer. At delta 0.3 text saves 47 to 48 % of the tokens on chain3 and sum4, states 29 to 40 %; both together no more than 2
  points more than text alone. So the aim of 10 % more than text alone is expected **not** to be met on ponder.
- **Vectors**: 28 to 35 % fewer tokens at equal accuracy, in a narrow window of strengths (0.25 to 0.5 after layer 2); the random vector of the same length loses 5 points
  or more. A bias on the cue letters does as well from outside.
- **Heads**: three of twelve are needed (1.3, 2.3, 3.3). With the other nine windowed to 8 + 48 tokens 50 to 60 % of the bytes are kept at 150 tokens, at a loss of up to
  5 points; with the wrong heads accuracy is below 50 %. Over-compression shows as unfinished texts first.
- At temperature 0.6 there is less to gain from exits, since fewer traces have an unsafe one to calibrate on."""
COLUMNS = (
    "control",
    "setting",
    "right",
    "",
    "less plain",
    "",
    "p",
    "output",
    "of plain",
    "unfinished",
    "KV bytes",
    "of plain",
)
LEGEND = """\
*Right*: share of right answers, with its Wilson interval. *Less plain*: the difference from plain on the same problems and seeds, in points, with its interval (Bonett and Price
2012) and McNemar's exact p. *Output*: mean of all output tokens, those of forced answers included. *Unfinished*: thoughts that ran into the limit of 460 tokens. *KV bytes*: what the
cache of a text holds when it ends, in float32, on average."""


def page(
    given: argparse.Namespace,
    found: Sequence[InsideRun],
    directions: Sequence[Direction],
    trials: Sequence[tuple[SteeringVector | None, Trial]],
    study: HeadStudy | None,
    notes: Sequence[str],
) -> str:
    about = origin(
        "inside",
        given.results,
        f" ponder in transformers, {given.problems:,} problems a difficulty, {given.seeds} seeds, {given.calibration:,} others to calibrate on.",
    )
    parts = ["# Inside the model", about, "## Predicted", PREDICTED, "## Came", *concluded(found), LEGEND]
    if notes:
        parts.append("".join(f"- {note}\n" for note in notes).rstrip())
    parts += chosen_vector(directions, trials) + studied(study)
    for temperature, difficulty in dict.fromkeys((one.temperature, one.run.difficulty) for one in found):
        runs = [one for one in found if (one.temperature, one.run.difficulty) == (temperature, difficulty)]
        parts += [f"## {difficulty} at temperature {temperature:g}", table(COLUMNS, map_rows(runs))]
    return "\n\n".join(parts) + "\n"


def map_rows(runs: Sequence[InsideRun]) -> list[list[str]]:
    plain = runs[0]
    rows = []
    for one in runs:
        run = one.run
        won, lost = discordant(run, plain.run)
        alone = one is plain
        rows.append(
            [
                run.control,
                run.setting,
                f"{run.accuracy:.1%}",
                "{:.1%} to {:.1%}".format(*wilson(run.hits, run.problems)),
                "" if alone else points(run.accuracy - plain.run.accuracy),
                "" if alone else " to ".join(map(points, paired(won, lost, run.problems))),
                "" if alone else f"{mcnemar(won, lost):.2g}",
                f"{run.output:.1f}",
                f"{run.output / plain.run.output:.0%}",
                f"{one.unfinished / run.problems:.1%}",
                f"{one.kv_bytes:,.0f}",
                f"{one.kv_bytes / plain.kv_bytes:.0%}",
            ]
        )
    return rows


def concluded(found: Sequence[InsideRun]) -> list[str]:
    """Say for each setting what it saves in all, and where it is surely less right than plain."""
    groups: dict[tuple[float, str], list[InsideRun]] = {}
    for one in found:
        groups.setdefault((one.temperature, one.run.difficulty), []).append(one)
    named: dict[str, list[tuple[InsideRun, InsideRun]]] = {}
    for runs in groups.values():
        for one in runs[1:]:
            # A random vector has a number, and a strength that is chosen is no part of the name here.
            named.setdefault(one.run.name, []).append((one, runs[0]))
    rows = []
    for name, pairs in named.items():
        spent = sum(one.run.output for one, _ in pairs) / sum(plain.run.output for _, plain in pairs)
        kept = sum(one.kv_bytes for one, _ in pairs) / sum(plain.kv_bytes for _, plain in pairs)
        gained = sum(one.run.accuracy - plain.run.accuracy for one, plain in pairs) / len(pairs)
        worse = [
            f"{one.run.difficulty} at {one.temperature:g}" for one, plain in pairs if surely_worse(one, plain)
        ]
        unfinished = sum(one.unfinished for one, _ in pairs) / sum(one.run.problems for one, _ in pairs)
        rows.append(
            [
                name,
                str(len(pairs)),
                f"{spent - 1:+.0%}",
                points(gained),
                f"{unfinished:.1%}",
                f"{kept:.0%}",
                ", ".join(worse) or "nowhere",
            ]
        )
    columns = (
        "setting",
        "places",
        "tokens",
        "points",
        "unfinished",
        "KV bytes",
        "surely less right than plain",
    )
    return [
        f"A place is a difficulty at a temperature. Surely less right: McNemar's p below 0.05; no worse at all is not shown by its absence where problems are few, "
        f"and {TOLERATED:.0%} is what is called no loss below.",
        table(columns, rows),
        *verdicts(named),
    ]


def verdicts(named: dict[str, list[tuple[InsideRun, InsideRun]]]) -> list[str]:
    """Hold the two aims against what was measured."""
    said = []
    for delta in ("0.1", "0.3"):
        text = saved(named.get(f"exit by text {delta}", []))
        both = {
            name: saved(pairs)
            for name, pairs in named.items()
            if name.endswith(f"and text {delta}")
            and len(pairs) == len(named.get(f"exit by text {delta}", []))
        }
        if text is None or not both:
            continue
        name, best = max(both.items(), key=lambda pair: pair[1] or 0.0)
        gain = (best or 0.0) - text
        met = "met" if gain >= 0.1 else "**not met**"
        said.append(
            f"- States together with text, delta {delta}: {best:.0%} of the tokens saved ({name}, the better of two) beside {text:.0%} by text alone: the aim of 10 % more is {met}."
        )
    for name, pairs in named.items():
        if name.startswith("heads that may be"):
            kept = sum(one.kv_bytes for one, _ in pairs) / sum(plain.kv_bytes for _, plain in pairs)
            worse = sum(surely_worse(one, plain) for one, plain in pairs)
            met = "met" if kept <= 0.55 and not worse else "**not met**"
            said.append(
                f"- {kept:.0%} of the cache's bytes with {name.removeprefix('heads that may be ')}, surely less right at {worse} of {len(pairs)} places: "
                f"the aim of at most 55 % at no loss that can be told is {met}."
            )
    return ["\n".join(said)] if said else []


def saved(pairs: Sequence[tuple[InsideRun, InsideRun]]) -> float | None:
    if not pairs:
        return None
    return 1 - sum(one.run.output for one, _ in pairs) / sum(plain.run.output for _, plain in pairs)


def surely_worse(one: InsideRun, plain: InsideRun) -> bool:
    won, lost = discordant(one.run, plain.run)
    return lost > won and mcnemar(won, lost) < 0.05


def chosen_vector(
    directions: Sequence[Direction], trials: Sequence[tuple[SteeringVector | None, Trial]]
) -> list[str]:
    if not directions:
        return []
    norms = "; ".join(
        f"layer {each.layer}: {each.norm:.0f} long, states {each.state_norm:.0f}, from {each.execution:,} and {each.other:,} ends of thoughts"
        for each in directions
    )
    rows = [
        [
            vector.name if vector else "plain",
            f"{trial.right:.1%}",
            f"{trial.tokens:.1f}",
            f"{trial.unfinished:.1%}",
        ]
        for vector, trial in trials
    ]
    return [
        "## How the vector was chosen",
        f"Directions: {norms}.",
        table(("vector", "right", "tokens", "unfinished"), rows),
    ]


def studied(study: HeadStudy | None) -> list[str]:
    if study is None:
        return []
    rows = [
        ["none", f"{study.plain.right:.1%}", f"{study.plain.tokens:.1f}", f"{study.plain.unfinished:.1%}", ""]
    ]
    for head in reversed(study.ranked()):
        trial = study.alone[head]
        rows.append(
            [
                str(head),
                f"{trial.right:.1%}",
                f"{trial.tokens:.1f}",
                f"{trial.unfinished:.1%}",
                "kept whole" if head in study.important else "",
            ]
        )
    all_of = study.trial
    return [
        "## Which heads are needed",
        f"Each head alone windowed to {study.chosen.sinks} + {study.chosen.window} tokens (layer from 1, head from 0), the worst first; then as many as hold together.",
        table(("head", "right", "tokens", "unfinished", ""), rows),
        f"With all that may be windowed, on the problems that chose them: {all_of.right:.1%} right, {all_of.tokens:.1f} tokens, {all_of.unfinished:.1%} unfinished.",
    ]
