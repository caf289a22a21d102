"""Chain of action-thought, without training: continue, and reflect or explore only where there is cause.

    continue -> | no doubt:     continue ... answer
                | doubt:        reflect -> | all right:  go on
                                           | bad step:   explore -> | the same result:  all is as it was
                                                                    | another one:      compare -> the old steps, or the new one

| stage | one step | decided |
| --- | --- | --- |
| continue | the next step of the solution, or the answer | first to be ahead by `votes`, compared by the result |
| reflect | whether the steps are right, else the first bad one and why | by one sample; a step is taken for bad once it leads by `confirm` |
| explore | another step in place of the bad one, whoever takes it being told why; all from there on is kept aside | as continue |
| compare | which of the old and the new step is right, in turn in either order, not told which is which | by one sample; the new step stands once it leads by `confirm` |

A reflection or comparison that is not decided after `PATIENCE` times `confirm` samples changes nothing: the steps are taken for right, the old step
stands.  A step that wins no vote within `limit` samples stalls, one that is explored too, and so does a reflection or comparison of which `limit`
samples in a row cannot be read.

The actions are those of Satori (arXiv 2502.02508), which trains a model to choose them.  A model that was not trained with its reinforcement
learning turned right answers into wrong ones in 79.4 % of its changes there (MATH500), so here a program chooses them, and a changed step stands only
if it wins a vote against the old one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from surefoot.agents.tasks.task import Task, Value
from surefoot.errors import BadInput
from surefoot.models.base import Prompt, Sampling
from surefoot.printable import encodable, printable
from surefoot.tools.answers.normal_forms import Kind
from surefoot.typed_input import checked
from surefoot.voting.election import Stalled
from surefoot.voting.flags import PAPER
from surefoot.voting.leading import leading

from . import prompts
from .checks import check_named
from .state import ANSWERS, STATES, ActionStep, ChainAnswer, ChainState, Preferred, Reflection

V = TypeVar("V", Reflection, Preferred)

MOST_VOTES = 50
MOST_EXPLORES = 10
MOST_STEPS = 1_000
PATIENCE = 5
"""A reflection or comparison that is not decided after so many times `confirm` samples changes nothing."""
REFLECTIONS = 2
"""So often is a chain of the same length verified."""


class ActionChain(Task[ChainState, ChainAnswer]):
    """Answer `problem`, whose answer is of this `kind` (`surefoot.tools.answers.normal`), one step at a time.  Its text is trusted: prompts hold it as it is.

    A reflection is asked for where the program `check` (`checks`: `arithmetic`, or an installed one) says that the last step is wrong, and, with
    `every`, after so many steps and at the answer; with neither there is none, and all is plain voting.  `explores`: so often in all steps may be
    taken back; once that is spent nobody reflects any more.  After `longest` steps only the answer is left to be said.

    `votes` is the lead of a step, `confirm` that of what changes one, so run it with `Settings(k=1)`.
    """

    name = "action-chain"
    flags = PAPER
    sampling = Sampling(temperature=0.7, first_temperature=None, max_tokens=2048)
    state_codec = STATES
    answer_codec = ANSWERS

    @checked
    def __init__(
        self,
        problem: str,
        kind: Kind = "any",
        votes: int = 3,
        confirm: int = 3,
        check: str = "",
        every: int = 0,
        explores: int = 2,
        longest: int = 100,
    ) -> None:
        problem = problem.strip()
        if not problem or len(problem) > prompts.LONGEST or not encodable(problem):
            raise BadInput(f"a problem is a text of 1 to {prompts.LONGEST:,} characters")
        if kind == "code":
            raise BadInput("an answer is one line, and code is more")
        if not (1 <= votes <= MOST_VOTES and 1 <= confirm <= MOST_VOTES):
            raise BadInput(f"votes and confirm are leads of 1 to {MOST_VOTES}, not {votes!r} and {confirm!r}")
        if every < 0:
            raise BadInput(f"every is a number of steps, or 0 for never, not {every!r}")
        if not 0 <= explores <= MOST_EXPLORES:
            raise BadInput(f"explores are 0 to {MOST_EXPLORES}, not {explores!r}")
        if not 1 <= longest <= MOST_STEPS:
            raise BadInput(f"longest is 1 to {MOST_STEPS:,} steps, not {longest!r}")
        self._problem, self._kind, self._votes, self._confirm = problem, kind, votes, confirm
        self._check_name, self._check = check, check_named(check) if check else None
        self._every, self._explores, self._longest = every, explores, longest

    def spec(self) -> Mapping[str, Value]:
        """The constructor's arguments."""
        return {
            "problem": self._problem,
            "kind": self._kind,
            "votes": self._votes,
            "confirm": self._confirm,
            "check": self._check_name,
            "every": self._every,
            "explores": self._explores,
            "longest": self._longest,
        }

    def start(self) -> ChainState:
        """No step has been taken."""
        return ChainState()

    def ask(self, state: ChainState, view: int = 0) -> Prompt:
        """Ask what the stage wants."""
        if state.candidate is not None:
            ways = (state.undone[0], state.candidate)
            return prompts.compare(self._problem, state.steps, ways[::-1] if state.swapped else ways)
        if state.doubt is not None:
            return prompts.reflect(self._problem, state.steps, state.doubt)
        return prompts.next_step(self._problem, state, self._last(state))

    def read(self, text: str, state: ChainState, view: int = 0) -> ChainAnswer:
        """Read the last line."""
        match state.stage:
            case "compare":
                return prompts.read_preferred(text, state.swapped)
            case "reflect":
                return prompts.read_finding(text, len(state.steps))
            case _:
                return prompts.read_next(text, self._kind, self._last(state))

    def lead(self, answer: ChainAnswer) -> int:
        """What is said of steps is one sample's word, and an election of its own in the state."""
        return self._votes if isinstance(answer, ActionStep) else 1

    def advance(self, state: ChainState, answer: ChainAnswer) -> ChainState:
        """Take a step."""
        match answer:
            case ActionStep():
                return self._stepped(replace(state, taken=state.taken + 1), answer)
            case Reflection():
                return self._reflected(replace(state, findings=(*state.findings, answer)))
            case Preferred():
                return self._compared(replace(state, comparisons=(*state.comparisons, answer)))

    def finished(self, state: ChainState) -> bool:
        """Whether there is an answer that is not in doubt."""
        return state.stage == "over"

    def _stepped(self, state: ChainState, step: ActionStep) -> ChainState:
        if not state.undone:
            return self._appended(state, step)
        if step == state.undone[0]:  # the doubt was not confirmed
            return state.settled(state.steps + state.undone)
        return replace(state, candidate=step)

    def _reflected(self, state: ChainState) -> ChainState:
        won = self._won(state.findings, Reflection(None))
        if won is None:
            return state
        if won.bad is None:
            return state.settled(state.steps)
        good, undone = state.steps[: won.bad - 1], state.steps[won.bad - 1 :]
        return replace(state.settled(good), undone=undone, why=won.why, explores=state.explores + 1)

    def _compared(self, state: ChainState) -> ChainState:
        won = self._won(state.comparisons, Preferred(new=False))
        if won is None or state.candidate is None:
            return state
        if not won.new:
            return state.settled(state.steps + state.undone)
        return self._appended(state.settled(state.steps), state.candidate)

    def _won(self, said: Sequence[V], undecided: V) -> V | None:
        """Return what leads by `confirm`; None while it is open, `undecided` once it cannot be."""
        try:
            return leading(said, self._confirm, PATIENCE * self._confirm)
        except Stalled:
            return undecided

    def _appended(self, state: ChainState, step: ActionStep) -> ChainState:
        """Take a step in, and look whether there is cause to reflect."""
        state = replace(state, steps=(*state.steps, step))
        doubt = self._doubt(state)
        if doubt is None:
            return state
        return replace(state, doubt=doubt, reflected=(*state.reflected, len(state.steps)))

    def _doubt(self, state: ChainState) -> str | None:
        """Return why the steps are to be verified now, "" if it is their turn; None if they are not."""
        length = len(state.steps)
        spent = state.explores >= self._explores or state.taken >= self._longest
        if spent or state.reflected.count(length) >= REFLECTIONS:
            return None
        wrong = None if self._check is None else self._check(self._problem, state.steps)
        if wrong is not None:
            return printable(" ".join(wrong.split()))[: prompts.LONGEST_WHY]
        due = self._every and (state.steps[-1].final or length % self._every == 0)
        return "" if due else None

    def _last(self, state: ChainState) -> bool:
        return state.stage == "continue" and state.taken >= self._longest - 1
