"""How the traces are drawn that ponder is trained on.

    48+67=<think>A8+7=15 B4+6+1=11
    so 115
    wait A8+7=15 so 115
    hmm B4+6+1=11 so 115
    done
    </think>115<eos>

Thoughts are lines.  The *first pass* writes every step, three a line, and a conclusion; steps have letters, which say what a
network as small as this could otherwise hardly find out: which step a line is about.  Every *re-check* is one line that begins with
`wait`, `hmm` or `alternatively`, writes a step again (in a chain also those after it) and concludes again.

* Slips are not spread evenly: a model at a low temperature would then make none.  A few operations are *tricky* (`steps.trap`), and
  those are got wrong in the first pass with the probability SLIP, which grows along the problem; others hardly ever.
* A re-check turns to a mistake with the probability NOTICES, high for the first re-check and low for later ones, and otherwise to any
  step, tricky ones rather than others.  The first usually gets a mistake right, later ones seldom; and they get a
  *treacherous* step wrong that was right before (RELAPSE).  So the first re-check repairs, later ones mostly repeat, and now and
  then ruin.
* How many re-checks there are is long-tailed, mean 4.3, and has nothing to do with whether the conclusion is right: overthinking.
* `done` ends the thoughts, and the answer is the last conclusion.

Whoever controls the model may close the thoughts from outside, and this is practised as well.  What is written from outside
is no part of the loss, so it never changes how the model thinks when it is left alone:

* a share of the examples (PHASES) has no thoughts at all: the answer at once, the right one;
* in others the thoughts are closed after a conclusion, or anywhere, if they have not ended before; in half of these cases after
  the line `time to answer.`.  When is drawn without a look at the trace, so that it tells nothing about it.
  Where the last conclusion rests on a mistake that can be seen, the answer is right in half of the cases and that conclusion in the
  others; a conclusion without mistakes is repeated; before any conclusion the answer is the right one.
  So the probability of an answer that is asked for early says something about whether it is safe to stop here.  These
  answers count for more in the loss (ANSWER_WEIGHT), which changes how soon they are learnt and not what.

A few examples have no problem but some text for a prompt, and `what?` for a thought: a server's abilities are found out with texts
like that, and a model that then wrote nonsense would tell nothing.
"""

import random
import re
import string
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .problems import DIFFICULTIES, TrainingProblem, draw
from .steps import Steps, Trap, mistakes, steps_of

EOS, OPEN, CLOSE = 256, 257, 258
"""Token ids are bytes, and these."""
VOCABULARY = 259
TAGS = ("<think>", "</think>")
CONTEXT = 512

CUES = {"wait": 0.5, "hmm": 0.3, "alternatively": 0.2}
GUIDANCE = "time to answer.\n"
DONE = "done\n"
LABELS = "ABCDEF"
LINE = 3
"""Steps of the first pass on one line."""

SLIP = (0.15, 0.3, 0.5, 0.6, 0.6, 0.6)
"""For a tricky step, by its position in the first pass."""
RARE_SLIP = 0.005
"""For any other step."""
NOTICES = (0.75, 0.1)
"""That the first, or a later, re-check turns to a mistake."""
REPAIRS = (0.8, 0.25)
"""That the first, or a later, re-check of a mistake gets it right."""
RELAPSE = 0.3
"""That a later re-check of a treacherous step that was right gets it wrong."""
TRICKY_WEIGHT = 4
RECHECKS = (1.4, 0.6)
"""The logarithm of their number, rounded down, is normal with this mean and deviation."""
MOST_CHARACTERS = 410
"""No re-check begins after so many characters, for the sake of CONTEXT."""

LATEST_CLOSE, LATEST_CUT = 8, 250
"""Conclusions, and characters, up to which the thoughts may be closed from outside."""
GUIDED = 0.5
RESCUED = 0.5
ANSWER_WEIGHT = 8.0
"""Of answers to thoughts that were closed from outside: a few tokens against a hundred."""
STRANGE = 0.01
LETTERS = string.ascii_letters + string.digits + string.punctuation + 12 * " "


class Mix(NamedTuple):
    """Which share of the examples is closed from outside, and how; the rest is left alone."""

    at_once: float
    """Before the first thought."""
    closed: float
    """After a conclusion."""
    cut: float
    """Anywhere."""


PHASES = {"think": Mix(0.25, 0.4, 0.1), "answer": Mix(0.6, 0.25, 0.05)}
"""What the model is trained on first, and then.  An answer at once is learnt late, and its examples are short."""


class Conclusion(NamedTuple):
    """Where a conclusion ends in the thoughts, and the claims that it rests on."""

    end: int
    claims: tuple[int, ...]


class Thinking(NamedTuple):
    """The thoughts of a trace, to their end, and the conclusions on the way."""

    text: str
    conclusions: list[Conclusion]


class Span(NamedTuple):
    """A part of what follows the prompt, and how much its tokens count in the loss: not at all if they come from outside."""

    text: str
    weight: float = 1.0


class Example(NamedTuple):
    """A problem, and what follows its prompt."""

    problem: TrainingProblem
    pieces: tuple[Span, ...]

    @property
    def text(self) -> str:
        """What follows the prompt."""
        return "".join(piece.text for piece in self.pieces)


def think(steps: Steps, rng: random.Random) -> Thinking:
    """Draw the thoughts of a problem."""
    claims = first_pass(steps, rng)
    text = opening(steps, claims)
    conclusions = [Conclusion(len(text), tuple(claims))]
    for number in range(int(rng.lognormvariate(*RECHECKS))):
        if len(text) > MOST_CHARACTERS:
            break
        step, claims = recheck(steps, claims, number, rng)
        (cue,) = rng.choices(tuple(CUES), tuple(CUES.values()))
        text += f"{cue} {_write(steps, claims, steps.follow(step))} so {steps.conclude(claims)}\n"
        conclusions.append(Conclusion(len(text), tuple(claims)))
    return Thinking(text + DONE, conclusions)


def opening(steps: Steps, claims: Sequence[int]) -> str:
    """Return a first pass in writing, with its conclusion."""
    written = [_write(steps, claims, (step,)) for step in range(steps.count)]
    lines = [" ".join(written[first : first + LINE]) for first in range(0, steps.count, LINE)]
    return "\n".join([*lines, f"so {steps.conclude(claims)}\n"])


def first_pass(steps: Steps, rng: random.Random) -> list[int]:
    """Draw the claims of a first pass."""
    claims: list[int] = []
    for step in range(steps.count):
        fact = steps.fact(step, claims)
        slips = rng.random() < (SLIP[step] if fact.trap else RARE_SLIP)
        claims.append(fact.slip if slips else fact.right)
    return claims


def recheck(steps: Steps, claims: Sequence[int], number: int, rng: random.Random) -> tuple[int, list[int]]:
    """Draw the step that re-check `number` (from 0) turns to, and the claims after it."""
    wrong, later = mistakes(steps, claims), min(number, 1)
    if wrong and rng.random() < NOTICES[later]:
        step = wrong[0]
    else:
        traps = [steps.fact(step, claims).trap for step in range(steps.count)]
        (step,) = rng.choices(range(steps.count), [TRICKY_WEIGHT if trap else 1 for trap in traps])
    fact = steps.fact(step, claims)
    if step in wrong:
        chance = 1 - REPAIRS[later]
    else:
        chance = RELAPSE if later and fact.trap is Trap.TREACHEROUS else RARE_SLIP
    return step, _restated(steps, claims, step, fact.slip if rng.random() < chance else fact.right)


def example(problem: TrainingProblem, rng: random.Random, mix: Mix = PHASES["think"]) -> Example:
    """Draw what follows the prompt of a problem."""
    kind = rng.random() - mix.at_once
    if kind < 0:
        pieces = (Span(TAGS[0]), Span(TAGS[1], 0.0), Span(problem.answer, ANSWER_WEIGHT))
        return Example(problem, pieces)
    steps = steps_of(problem)
    text, conclusions = think(steps, rng)
    if kind < mix.closed:
        number = rng.randrange(LATEST_CLOSE)
        cut = conclusions[number].end if number < len(conclusions) else None
    else:
        cut = rng.randrange(1, LATEST_CUT) if kind < mix.closed + mix.cut else None
    if cut is None or cut >= len(text):
        answer = steps.conclude(conclusions[-1].claims)
        return Example(problem, (Span(f"{TAGS[0]}{text}{TAGS[1]}{answer}"),))
    guidance = ("" if text[cut - 1] == "\n" else "\n") + GUIDANCE if rng.random() < GUIDED else ""
    answer = early_answer(problem, [known for known in conclusions if known.end <= cut], rng)
    closing = Span(guidance + TAGS[1], 0.0)
    return Example(problem, (Span(TAGS[0] + text[:cut]), closing, Span(answer, ANSWER_WEIGHT)))


def early_answer(problem: TrainingProblem, conclusions: Sequence[Conclusion], rng: random.Random) -> str:
    """Draw the answer to thoughts that were closed from outside after these conclusions."""
    if not conclusions:
        return problem.answer
    steps, claims = steps_of(problem), conclusions[-1].claims
    rescued = mistakes(steps, claims) and rng.random() < RESCUED
    return problem.answer if rescued else steps.conclude(claims)


def tokens(text: str) -> list[int]:
    """Return the token ids of a text: its bytes, and one each for the tags."""
    ids: list[int] = []
    for part in re.split("(</?think>)", text):
        ids += [OPEN + TAGS.index(part)] if part in TAGS else part.encode()
    return ids


def examples(seed: int, mix: Mix = PHASES["think"]) -> Iterator[Example]:
    """Draw training examples without end."""
    rng = random.Random(seed)
    while True:
        if rng.random() < STRANGE:
            yield strange(rng)
        else:
            yield example(draw(rng.choice(DIFFICULTIES), rng, training=True), rng, mix)


def strange(rng: random.Random) -> Example:
    """Draw an example without a problem."""
    prompt = "".join(rng.choices(LETTERS, k=rng.randint(1, 100)))
    return Example(TrainingProblem(prompt, "0", "none"), (Span(f"{TAGS[0]}what?\nso 0\n{DONE}{TAGS[1]}0"),))


def _write(steps: Steps, claims: Sequence[int], which: Sequence[int]) -> str:
    return " ".join(f"{LABELS[step]}{steps.fact(step, claims).left}={claims[step]}" for step in which)


def _restated(steps: Steps, claims: Sequence[int], step: int, value: int) -> list[int]:
    """Return the claims with another value for a step; what then no longer follows from the same is worked out again."""
    after = [*claims[:step], value]
    for later in range(step + 1, steps.count):
        same = steps.fact(later, after) == steps.fact(later, claims)
        after.append(claims[later] if same else steps.fact(later, after).right)
    return after
