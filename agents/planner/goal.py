"""A problem in plain words as a task: made smaller by vote until one call answers a part, and put together again.

    propose -> choose -> | no parts:  solve   -> the answer of a part; of the last part, by a program or by `compose`, of the whole
                         | parts:     the first part: propose ...

| stage | one step | decided |
| --- | --- | --- |
| propose | one way to make a problem smaller | by one sample; a way is taken once it leads every other by `votes` |
| choose | which of the ways are right, if any; where the proposals differ | first to be ahead by `votes` |
| solve | the answer of a part | first to be ahead by `votes`, compared in its normal form |
| compose | the answer of a problem from those of its parts, where no program knows it | the same |

After MAKER (arXiv 2511.09030, appendix F).  There the first of three to get two votes wins, and else the one with most; here nothing wins
that does not lead by `votes`, and a stall is a stall.  A program combines where it can: no vote is as sure.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from surefoot.agents.tasks.task import Task, Value
from surefoot.errors import BadInput
from surefoot.models.base import Prompt, Sampling
from surefoot.printable import encodable
from surefoot.tools.answers.combining import combined
from surefoot.tools.answers.normal_forms import Kind, normal
from surefoot.typed_input import checked
from surefoot.voting.flags import PAPER, NotAnAnswer
from surefoot.voting.leading import leading

from . import prompts
from .outlines import Outline, read_outline
from .state import (
    ANSWERS,
    DEEPEST,
    MOST_PARTS,
    STATES,
    Chosen,
    GoalState,
    Node,
    Part,
    PlannerAnswer,
    Proposal,
    Solved,
)
from .trees import place_of

MOST_VOTES = 50
CANDIDATES = 3
"""So many different proposals are chosen among, unless one of them is two ahead."""
REJECTED = 3
"""After so many choices of none the problem is answered as it is."""


class Goal(Task[GoalState, PlannerAnswer]):
    """Answer `problem`, whose answer is of this `kind` (`surefoot.tools.answers.normal`).

    `kind` is that of the whole; parts are of `any`.  `votes`: the lead that a decision needs, so run it with `Settings(k=1)`: proposals in free
    words would never agree with one another.  `depth`: a part of a part, and so on, that many times, is answered as it is.  Both decide what it
    costs: at least `votes` samples for each part, and as many to split it.

    `outline`: how the problem is made smaller, and which parts are answered, as far as that is decided already, at whatever depth; an `Outline`, or its
    JSON.  What it leaves open is decided by vote, so that `depth=0` answers its last parts as they are.
    """

    name = "goal"
    views = 6
    flags = PAPER
    # Proposals are samples of steps of their own: at temperature 0 they would be one sample over and over.
    sampling = Sampling(temperature=0.7, first_temperature=None, max_tokens=4096)
    state_codec = STATES
    answer_codec = ANSWERS
    unasked: ClassVar[str | None] = None
    """The answer of a problem that is not made smaller, where nobody is asked for it."""

    @checked
    def __init__(
        self,
        problem: str,
        kind: Kind = "any",
        votes: int = 3,
        depth: int = 5,
        outline: Outline | str | None = None,
    ) -> None:
        problem = problem.strip()
        if not problem or len(problem) > prompts.LONGEST or not encodable(problem):
            raise BadInput(f"a problem is a text of 1 to {prompts.LONGEST:,} characters")
        if not 1 <= votes <= MOST_VOTES:
            raise BadInput(f"votes are a lead of 1 to {MOST_VOTES}, not {votes!r}")
        if not 0 <= depth < DEEPEST:
            raise BadInput(f"a depth is a number from 0 to {DEEPEST - 1}, not {depth!r}")
        if kind == "code":
            raise BadInput("an answer is one line, and code is more")
        self.outline = None if outline is None else read_outline(outline)
        if self.outline is not None and self.outline.problem != problem:
            raise BadInput("the outline is of another problem: give its own, or none")
        self.problem, self.kind, self.votes, self._depth = problem, kind, votes, depth

    def spec(self) -> Mapping[str, Value]:
        """The constructor's arguments."""
        spec: dict[str, Value] = {
            "problem": self.problem,
            "kind": self.kind,
            "votes": self.votes,
            "depth": self._depth,
        }
        return spec if self.outline is None else {**spec, "outline": self.outline.canonical}

    @property
    def digest(self) -> str | None:
        """That of its outline; None if none was given."""
        return None if self.outline is None else self.outline.digest

    def start(self) -> GoalState:
        """The whole problem, and its first parts as far as they are given."""
        nodes, answer = self._opened((), self.problem, ())
        return self._answered(GoalState(nodes), answer)

    def ask(self, state: GoalState, view: int = 0) -> Prompt:
        """Ask what the stage wants; ways to choose among come in another order in each view."""
        node = state.nodes[-1]
        given = self._given(state.nodes)
        hint = "" if given is None else given.hint
        match state.stage:
            case "propose":
                return prompts.propose(node.problem, hint)
            case "choose":
                ways = _ways(state)
                return prompts.choose(node.problem, [ways[place] for place in _order(len(ways), view)], hint)
            case "compose" if node.split is not None:
                return prompts.compose(node.problem, node.split.parts, node.answers)
            case _:
                return prompts.solve(node.problem, hint)

    def read(self, text: str, state: GoalState, view: int = 0) -> PlannerAnswer:
        """Read the last line."""
        match state.stage:
            case "propose":
                return prompts.read_proposal(text, [node.problem for node in state.nodes])
            case "choose":
                ways = len(_ways(state))
                order = _order(ways, view)
                shown = prompts.read_choice(text, ways).numbers
                return Chosen(tuple(sorted(order[number - 1] + 1 for number in shown)))
            case _:
                # Of a part only its problem is known, and not of which kind its answer is.
                return prompts.read_answer(text, self.kind if len(state.nodes) == 1 else "any")

    def lead(self, answer: PlannerAnswer) -> int:
        """One proposal is a step; all else is voted on."""
        return 1 if isinstance(answer, Proposal) else self.votes

    def advance(self, state: GoalState, answer: PlannerAnswer) -> GoalState:
        """Take a step."""
        match answer:
            case Proposal():
                return self._proposed(replace(state, proposals=(*state.proposals, answer)))
            case Chosen(numbers=()):
                node = replace(state.nodes[-1], rejected=state.nodes[-1].rejected + 1)
                rest = replace(state, nodes=(*state.nodes[:-1], node), proposals=(), choosing=False)
                return self._split(rest, Proposal()) if node.rejected == REJECTED else rest
            case Chosen(numbers=numbers):
                return self._split(state, _ways(state)[numbers[0] - 1])
            case Solved(said=said):
                return self._answered(state, said)

    def finished(self, state: GoalState) -> bool:
        """Whether there is an answer to the whole."""
        return state.answer is not None

    def show(self, answer: PlannerAnswer) -> str:
        """Write a decided answer for a person."""
        match answer:
            case Proposal():
                return f"propose {prompts.shown(answer)}"
            case Chosen(numbers=numbers):
                return f"choose {', '.join(map(str, numbers)) or 'none'}"
            case Solved(said=said):
                return f"answer {said}"

    def _proposed(self, state: GoalState) -> GoalState:
        """Take a proposal that leads all others; without one there are more to come, or a choice."""
        most = 2 * self.votes + CANDIDATES
        winner = leading(state.proposals, self.votes, most + self.votes)
        if winner is not None:
            return self._split(state, winner)
        (_, first), *others = Counter(state.proposals).most_common(CANDIDATES)
        # More of them are not likely to agree: then it is cheaper to choose among those that there are.
        divided = len(others) == CANDIDATES - 1 and first - others[0][1] < 2
        return replace(state, choosing=divided or len(state.proposals) >= most)

    def _split(self, state: GoalState, split: Proposal) -> GoalState:
        """Go on with the first part, or with the problem as it is."""
        nodes = (*state.nodes[:-1], replace(state.nodes[-1], split=split))
        if split.parts:
            nodes, answer = self._opened(nodes, split.parts[0], state.done)
        else:
            answer = self.unasked
        return self._answered(GoalState(nodes, done=state.done), answer)

    def _answered(self, state: GoalState, answer: str | None) -> GoalState:
        """Hand an answer up, as far as programs know what it makes there, and what comes next is answered already; None is no answer yet."""
        nodes, done = state.nodes, state.done
        while answer is not None:
            *rest, node = nodes
            assert node.split is not None
            done = (*done, Part(len(rest), node.problem, node.split, answer))
            if not rest:
                return GoalState((), done=done)
            above = replace(rest[-1], answers=(*rest[-1].answers, answer))
            nodes, split, known = (*rest[:-1], above), above.split, len(above.answers)
            assert split is not None
            if known < len(split.parts):
                nodes, answer = self._opened(nodes, split.parts[known], done)
            else:
                answer = self._made(split, above.answers, whole=len(nodes) == 1)
        return GoalState(nodes, done=done)  # somebody is asked

    def _made(self, split: Proposal, answers: tuple[str, ...], *, whole: bool) -> str | None:
        """Return what the answers of all parts make; None where somebody has to be asked."""
        made = combined(split.combine, split.formula, answers)
        return self._of_its_kind(made) if whole and made is not None else made

    def _of_its_kind(self, made: str) -> str | None:
        """Return the answer of the whole in its form; None if what a program made of the parts is of another kind."""
        if self.kind in ("any", "text"):
            return made
        try:
            return normal(made, self.kind)
        except NotAnAnswer:
            return None

    def _opened(
        self, nodes: tuple[Node, ...], problem: str, done: tuple[Part, ...]
    ) -> tuple[tuple[Node, ...], str | None]:
        """Open a part of the last of the nodes; where its parts are given, the first of them, and so on.  Return the answer if that is given, too."""
        while True:
            given = self._given((*nodes, Node(problem)))
            if given is None or not given.parts:
                break
            nodes, problem = (*nodes, Node(problem, given.split)), given.parts[0].problem
        if given is not None and given.answer is not None:
            return (*nodes, Node(problem, Proposal())), given.answer
        hinted = given is not None and given.hint != "" and len(nodes) < DEEPEST - 1
        if (len(nodes) < self._depth or hinted) and len(done) < MOST_PARTS:
            return (*nodes, Node(problem)), None
        return (*nodes, Node(problem, Proposal())), self.unasked

    def _given(self, nodes: tuple[Node, ...]) -> Outline | None:
        """Return what the outline says of the last of the nodes; None where it does not reach so far."""
        here = self.outline
        for place in place_of(nodes):
            if here is None or not here.parts:
                return None
            here = here.parts[place]
        return here


class Outlining(Goal):
    """Decide how `problem` is made smaller, all of it, and answer none of its parts.

    `Outline.of(await surefoot.state(job), answers=True)` is what was decided; whoever answers the parts may do so in any order, and at once.
    """

    name = "outline"
    unasked = ""

    def _made(self, split: Proposal, answers: tuple[str, ...], *, whole: bool) -> str | None:
        return ""


def _ways(state: GoalState) -> list[Proposal]:
    """Return the proposals to choose among: the most frequent ones, and of equal ones those that came first."""
    return [way for way, _ in Counter(state.proposals).most_common(CANDIDATES)]


def _order(ways: int, view: int) -> list[int]:
    """Return the places of the ways as a view shows them: turned round by the view, every other one back to front."""
    turned = [(place + view // 2) % ways for place in range(ways)]
    return turned[::-1] if view % 2 else turned
