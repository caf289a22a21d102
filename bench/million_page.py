"""The page that bench/million.py writes, with a picture of the way, and everything as JSON beside it."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from million_check import Found
from million_diary import Diary, Life, Take
from pages import machine, table, write
from pydantic_core import to_json

CONTESTS_SHOWN = 20
RUNNERS = (
    "runner",
    "from step",
    "to step",
    "steps/s",
    "end",
    "until the first new step",
    "taken up",
    "workers left",
)
WIDTH, HEIGHT, MARGIN = 720, 300, 60


def publish(folder: Path, diary: Diary, found: Found, command: Sequence[str]) -> str:
    """Write `million-FORM.md`, `.svg` and `.json` into `folder` and return the page."""
    name = f"million-{diary.about['answers']}"
    when, where = time.strftime("%Y-%m-%d", time.gmtime(diary.lives[-1].ended)), machine()
    text = page(diary, found, f"{when}, {where}.", command, f"{name}.svg")
    whole = {
        "date": when,
        "machine": where,
        "command": " ".join(command),
        "right": found.right,
        **asdict(found),
        "watch": {**asdict(diary), "path": None, **clock(diary)},
    }
    write(folder, f"{name}.md", text)
    write(folder, f"{name}.svg", picture(diary, found.report["steps"]))
    write(folder, f"{name}.json", to_json(whole, indent=1).decode() + "\n")
    return text


def clock(diary: Diary) -> dict[str, float]:
    """Return seconds from the first start to the last end, and those in which a runner was alive."""
    lives = diary.lives
    alive = sum(life.ended - life.began for life in lives)
    return {
        "clock_s": round(lives[-1].ended - lives[0].began, 1),
        "alive_s": round(alive, 1),
    }


def page(diary: Diary, found: Found, about: str, command: Sequence[str], image: str) -> str:
    report, answers = found.report, {"full": "move and next board", "move": "the move alone"}
    parts = [
        f"# {report['steps']:,} chained steps, {found.wrong_moves} wrong",
        f"{about} Towers of Hanoi, {diary.about['disks']} disks, answers: {answers[diary.about['answers']]}.",
        f"    {' '.join(command)}",
        verdict(found),
        table(["", ""], figures(diary, found)),
        f"![Steps against time]({image})",
        "## Kills",
        "`kill -9` of the runner. *Until the first new step*: from the start of the next process, which loads Python and "
        "the model, until its first step is durable. *Taken up*: taking the lease, reading and verifying the journal's tail "
        "and replaying it to the state, then, if there is a fourth number, telling the draft of the latest segments, timed apart "
        "from that in another process before the runner was started again.",
        table(
            RUNNERS,
            runners(diary, found),
        ),
        "## Memory",
        "Resident, in MB: when warm (500 steps), at the end, at most.",
        table(["runner", "warm", "end", "most", "workers: warm", "end", "most"], memories(diary)),
        "## Contested steps",
        contests(found),
    ]
    return "\n\n".join(parts) + "\n"


def verdict(found: Found) -> str:
    if found.right:
        return (
            f"Right: every line of the move list is the optimal one and was played on the board; every record of the "
            f"journal holds the optimal move{' and the board after it' if found.report['spec']['form'] == 'full' else ''}"
            f", decided by at least {found.report['k']} votes ahead."
        )
    return (
        f"**Wrong**: {found.wrong_moves} moves and {found.wrong_records} of {found.records} records differ from the "
        f"optimal sequence, {found.unled} were decided by too few votes, the board refused: {found.refused or 'nothing'}, "
        f"solved: {found.solved} by the move list, {found.report['solved']} by the report."
    )


def figures(diary: Diary, found: Found) -> list[tuple[str, str]]:
    report, spent = found.report, clock(diary)
    steps, tokens = report["steps"], report["tokens"]
    seen = [life for life in diary.lives if life.runner_mb[2]] or diary.lives
    first, last = seen[0], seen[-1]
    per_step = ", ".join(f"{count:,} steps took {votes}" for votes, count in found.votes_per_step.items())
    rows = [
        ("steps", f"{steps:,}"),
        ("wrong", f"{found.wrong_moves} moves, {found.wrong_records} records"),
        ("solved", str(report["solved"])),
        ("time, by the journal", f"{span(report['wall_s'])}, {steps / report['wall_s']:.1f} steps/s"),
        ("time in which a runner was alive", f"{span(spent['alive_s'])}, starts and calibration included"),
        ("time by the clock", f"{span(spent['clock_s'])}, time spent dead included"),
        ("calibration", calibration(report)),
        ("k", f"{report['k']}, for a reliability of {report['reliability']}"),
        ("votes", f"{report['votes']:,}: {per_step}"),
        ("red flags", counted(report["red_flags"]) or "0"),
        ("contested steps", f"{report['contested']:,}"),
        ("repairs", str(report["repairs"])),
        ("tokens", counted(tokens)),
        ("speculation", speculation(report.get("speculation"))),
        ("memory of the runner", f"{first.runner_mb[0]} MB warm, {last.runner_mb[1]} MB at the end"),
        ("memory of the runner at most", f"{max(life.runner_mb[2] for life in diary.lives)} MB"),
        (
            "its largest growth within one runner",
            f"{max(life.runner_mb[2] - life.runner_mb[0] for life in diary.lives):.1f} MB",
        ),
        ("memory of its workers at most", f"{max(life.workers_mb[2] for life in diary.lives)} MB"),
        ("journal in Valkey's memory", f"{found.memory_bytes / steps:.1f} bytes a step"),
        ("append-only files", f"{found.file_bytes / steps:.1f} bytes a step"),
        ("head of the hash chain", f"`{report['head']}`"),
    ]
    return [row for row in rows if row[1]]


def calibration(report: dict[str, Any]) -> str:
    found = report["calibration"]
    return (
        "" if found is None else f"{found['samples']:,} samples in {found['wall_s']:.1f} s, not in the above"
    )


def speculation(found: dict[str, Any] | None) -> str:
    if found is None:
        return "off"
    return (
        f"{found['acceptance']:.3%} of the proposals accepted, {found['depth']:.1f} steps ahead on average; "
        f"{found['asked_ahead']:,} steps asked ahead, {found['accepted']:,} of them on the right state; "
        f"{found['wasted_samples']:,} wasted samples, {found['waste']:.1%} of all"
    )


def counted(found: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in found.items())


def runners(diary: Diary, found: Found) -> Iterable[Sequence[str]]:
    takes = {take.step: take for take in diary.takes}
    for number, life in enumerate(diary.lives):
        first = "" if life.recovery_s is None else f"{life.recovery_s:.2f} s"
        if first and not life.first and found.report["calibration"]:
            first += " (with the calibration)"
        rate = (life.last - life.first) / max(life.ended - life.began, 0.001)
        take = took(takes[life.first]) if life.first in takes else ""
        left = str(life.left_over) if life.end == "killed" else ""
        yield str(number + 1), f"{life.first:,}", f"{life.last:,}", f"{rate:.1f}", life.end, first, take, left


def took(take: Take) -> str:
    seconds = [take.acquire_s, take.tail_s, take.replay_s, *([take.remind_s] if take.remind_s else [])]
    parts = " + ".join(f"{part * 1000:.0f}" for part in seconds)
    return f"{parts} ms, {take.records} records"


def memories(diary: Diary) -> Iterable[Sequence[str]]:
    def row(number: int, life: Life) -> Sequence[str]:
        return str(number), *(f"{size:.1f}" for size in (*life.runner_mb, *life.workers_mb))

    return [row(number, life) for number, life in enumerate(diary.lives, 1)]


def contests(found: Found) -> str:
    if not found.contests:
        return "None."
    rows = [
        (f"{entry['step']:,}", "; ".join(f"`{answer}` {votes}" for answer, votes in entry["tally"].items()))
        for entry in found.contests[:CONTESTS_SHOWN]
    ]
    more = found.report["contested"] - len(rows)
    return table(["step", "tally"], rows) + (f"\n\nand {more:,} more; see the JSON." if more > 0 else "")


def span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def picture(diary: Diary, steps: int) -> str:
    """Draw steps against time; a kill is a dashed line."""
    began, whole = diary.lives[0].began, max(diary.lives[-1].ended - diary.lives[0].began, 0.001)

    def at(when: float, step: int) -> str:
        across = MARGIN + (when - began) / whole * (WIDTH - 2 * MARGIN)
        return f"{across:.1f},{HEIGHT - MARGIN - step / steps * (HEIGHT - 2 * MARGIN):.1f}"

    known = {(when, step) for when, step, *_ in diary.curve}
    for life in diary.lives:
        known |= {(life.began, life.first), (life.ended, life.last)}
    points = " ".join(at(when, step) for when, step in sorted(known))
    ends = [(at(life.ended, 0), at(life.ended, steps)) for life in diary.lives if life.end == "killed"]
    kills = "".join(
        f'<polyline points="{low} {high}" stroke="#c33" stroke-dasharray="4 4"/>' for low, high in ends
    )
    right, floor = WIDTH - MARGIN, HEIGHT - MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" fill="none" font-family="sans-serif" '
        f'font-size="13"><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<polyline points="{MARGIN},{MARGIN} {MARGIN},{floor} {right},{floor}" stroke="#888"/>{kills}'
        f'<polyline points="{points}" stroke="#256" stroke-width="2"/>'
        f'<g fill="#333"><text x="{MARGIN}" y="{MARGIN - 12}">{steps:,} steps</text>'
        f'<text x="{right}" y="{floor + 24}" text-anchor="end">{span(whole)}</text>'
        f'<text x="{MARGIN}" y="{floor + 24}">0; dashed: kill -9</text></g></svg>\n'
    )
