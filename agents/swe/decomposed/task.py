"""SWE-bench in small steps: each is one question, and what counts as agreement is what an answer does, never its text.

    survey -> FILES -> open -> PLACES -> reopen -> baseline -> REPRODUCE -> try_test --undecided--> REPRODUCE
                                                                        --decided--> PATCH -> try_patch --undecided--> PATCH
                                                                                           --decided--> verify -> submitted

The stages in capitals are asked of the model, the others answered by the world.

| stage | agreement | decided |
| --- | --- | --- |
| files, places | the same files; the same definitions | first to be ahead by `votes`, in one election of the engine |
| reproduce | the same exception, arising in the same function | the same rule, over candidates that fail on the base |
| patch | the same tests pass that failed before | the same rule, over candidates that fix one and break none |
| verify | the patch does what it did | once |

A candidate is a sample of a step of its own; what it does is found out in the next step, so that every vote is in the journal.  Candidates without
a decision are a stall: no plurality ever wins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from surefoot.agents.agent.context import LEAST_ROOM, cut, room_of
from surefoot.agents.swe.instances import PYTEST, Instance
from surefoot.agents.tasks.optional import Attempt
from surefoot.agents.tasks.task import Task, Value
from surefoot.errors import BadInput
from surefoot.models.base import Prompt, Sampling
from surefoot.tools.environments.environment import Environment
from surefoot.voting.election import Stalled
from surefoot.voting.flags import PAPER, NotAnAnswer
from surefoot.voting.leading import leading

from . import prompts
from .laboratory import Laboratory
from .reading import read_edits, read_files, read_places, read_test
from .state import (
    ANSWERS,
    ASKED,
    STATES,
    Baseline,
    ChosenFiles,
    DecomposedState,
    Edits,
    Lost,
    Opened,
    Patch,
    PatchTried,
    Places,
    StageAnswer,
    StageEnding,
    Surveyed,
    Test,
    TestTried,
    WrittenTest,
)

EXISTING = f"{PYTEST} -q"
"""The command for the repository's own tests, unless another is given."""
MOST_VOTES = 50
MOST_CANDIDATES = 100
TESTS_S = 1800.0
"""Longest time of the repository's own tests, as in the official harness."""


class DecomposedTask(Task[DecomposedState, StageAnswer]):
    """One instance, resolved in `world`, whose workspace holds the base commit.

    `votes`: the lead that each decision needs.  `candidates`: how many tests, and how many patches, may be tried.  `window` is the model's, in
    tokens.  `test_command` runs the repository's own tests with pytest and names their states (`-rA`); never the instance's, which may name the hidden ones.
    Of the instance only the id and the problem statement are read.
    """

    name = "swe-decomposed"
    flags = PAPER
    # Candidates are samples of steps of their own: drawn at temperature 0 as a first ballot usually is, they would be one sample over and over.
    sampling = Sampling(temperature=0.7, first_temperature=None, max_tokens=4096)
    state_codec = STATES
    answer_codec = ANSWERS

    def __init__(
        self,
        instance: Instance,
        *,
        world: Environment,
        votes: int = 2,
        candidates: int = 12,
        sampling: Sampling | None = None,
        window: int = 32_000,
        test_command: str = EXISTING,
        tests_s: float = TESTS_S,
    ) -> None:
        _check(votes, candidates)
        self._id, self._votes, self._candidates = instance.instance_id, votes, candidates
        if sampling is not None:
            if not sampling.temperature:
                raise BadInput(
                    "candidates drawn at temperature 0 are one and the same: take a temperature above 0"
                )
            self.sampling = replace(sampling, first_temperature=None)
        self._issue = cut(instance.problem_statement, window)  # a third of it, about
        self._first = prompts.about(self._issue)
        fixed = sum(len(message.content) for message in self._first) + prompts.AROUND
        self._room = room_of(window, fixed, self.sampling.max_tokens)
        if self._room < LEAST_ROOM:
            raise BadInput(
                f"a window of {window:,} tokens is too small: the issue takes about {fixed // 3:,}, an answer {self.sampling.max_tokens:,}"
            )
        self._lab = Laboratory(world, self._issue, self._room, test_command, tests_s)

    def spec(self) -> Mapping[str, Value]:
        """Return what two runs that follow one another have in common."""
        return {"instance": self._id, "votes": self._votes, "candidates": self._candidates}

    def start(self) -> DecomposedState:
        """Return the state before anything is known."""
        return DecomposedState()

    def ask(self, state: DecomposedState, view: int = 0) -> Prompt:
        """Return the question of the stage; the same for all its candidates, so that they are independent of each other."""
        sources = prompts.told(state.sources)
        match state.stage:
            case "files":
                what = prompts.FILES.format(listing=state.surveyed.listing)
            case "places":
                what = prompts.PLACES.format(sources=sources)
            case "reproduce":
                what = prompts.TEST.format(sources=sources, places=prompts.named(state.places))
            case _:
                what = prompts.PATCH.format(sources=sources, places=prompts.named(state.places))
        return prompts.asked(self._first, what)

    def read(self, text: str, state: DecomposedState, view: int = 0) -> StageAnswer:
        """Read the answer of the stage."""
        match state.stage:
            case "files":
                return read_files(text)
            case "places":
                return read_places(text, state.sources)
            case "reproduce":
                return read_test(text)
            case "patch":
                return read_edits(text)
        raise NotAnAnswer(f"the world answers {state.stage!r}")

    def lead(self, answer: StageAnswer) -> int:
        """Return the votes that a localisation needs; a candidate is voted on by what it does, once that is known."""
        return self._votes if isinstance(answer, ChosenFiles | Places) else 1

    def acts(self, state: DecomposedState) -> bool:
        """Whether the world answers the stage."""
        return state.stage not in ASKED

    async def act(self, state: DecomposedState, attempt: Attempt) -> StageAnswer:
        """Do what the stage says, from the clean base on: an act that was interrupted is made again."""
        return await self._lab.act(state)

    async def settle(self, state: DecomposedState) -> None:
        """Make the workspace what `state` says, wherever a run is taken up: the base, with the winning patch on it once that is submitted.

        Raises `WorkspaceLost`.
        """
        await self._lab.settle(state)

    def advance(self, state: DecomposedState, answer: StageAnswer) -> DecomposedState:
        """Take a step."""
        if state.stage in ASKED:
            state = replace(state, turn=state.turn + 1)
        else:
            state = replace(state, calls=state.calls + 1)
        match answer:
            case Surveyed():
                return replace(state, stage="files", surveyed=answer)
            case ChosenFiles():
                return replace(state, stage="open", files=answer.paths)
            case Opened():
                return replace(
                    state, stage="places" if state.stage == "open" else "baseline", sources=answer.sources
                )
            case Places():
                return replace(state, stage="reopen", places=answer.places)
            case Baseline():
                return replace(state, stage="reproduce", baseline=answer)
            case WrittenTest():
                return replace(state, stage="try_test", candidate=answer)
            case Edits():
                return replace(state, stage="try_patch", candidate=answer)
            case TestTried():
                return self._test_tried(state, answer)
            case PatchTried():
                return (
                    self._verified(state, answer)
                    if state.stage == "verify"
                    else self._patch_tried(state, answer)
                )
            case Lost():
                return _over(state, "lost_workspace", answer.why)

    def _test_tried(self, state: DecomposedState, tried: TestTried) -> DecomposedState:
        assert isinstance(state.candidate, WrittenTest)
        test = Test(state.candidate.text, tried.failure, tried.why)
        state = replace(state, tests=(*state.tests, test), candidate=None, stage="reproduce")
        try:
            failure = leading([each.failure for each in state.tests], self._votes, self._candidates)
        except Stalled as stall:
            return _over(
                state, "undecided", _undecided("reproduce", stall, [each.why for each in state.tests])
            )
        if failure is None:
            return state
        # All that fail in this way, for a wrong one among them tells patches apart and decides nothing by itself.
        texts = dict.fromkeys(each.text for each in state.tests if each.failure == failure)
        return replace(state, stage="patch", reproducing=tuple(texts))

    def _patch_tried(self, state: DecomposedState, tried: PatchTried) -> DecomposedState:
        assert isinstance(state.candidate, Edits)
        patch = Patch(state.candidate.edits, tried.change, tried.size, tried.why)
        state = replace(state, patches=(*state.patches, patch), candidate=None, stage="patch")
        try:
            change = leading([each.change for each in state.patches], self._votes, self._candidates)
        except Stalled as stall:
            return _over(state, "undecided", _undecided("patch", stall, [each.why for each in state.patches]))
        if change is None:
            return state
        winner = min((each for each in state.patches if each.change == change), key=lambda each: each.size)
        return replace(state, stage="verify", winner=winner)

    def _verified(self, state: DecomposedState, tried: PatchTried) -> DecomposedState:
        assert state.winner is not None
        if tried.change == state.winner.change:
            return _over(
                state,
                "submitted",
                f"fixes {', '.join(state.winner.change.fixed)}" if state.winner.change else "",
            )
        now = tried.why or f"it changes {tried.change!r} now"
        return _over(state, "unverified", f"verify: the winning patch did not do the same once more: {now}")

    def finished(self, state: DecomposedState) -> bool:
        """Whether the run is over, for whatever reason."""
        return state.ended != ""

    def solved(self, state: DecomposedState) -> bool:
        """Whether a patch won and was verified; whether it resolves the issue, only the hidden tests can tell."""
        return state.ended == "submitted"

    def show(self, answer: StageAnswer) -> str:
        """Return a step's answer for a person."""
        match answer:
            case ChosenFiles():
                return f"files: {', '.join(answer.paths)}"
            case Places():
                return f"places: {', '.join(f'{each.path}::{each.symbol}' for each in answer.places)}"
            case TestTried():
                return f"test: {answer.why or answer.failure}"
            case PatchTried():
                return f"patch: {answer.why or answer.change}"
            case WrittenTest():
                return cut(answer.text, 200)
            case Edits():
                return f"edits: {', '.join(each.path for each in answer.edits)}"
        return cut(str(answer), 200)


def _check(votes: int, candidates: int) -> None:
    for what, given, least, most in (
        ("votes", votes, 1, MOST_VOTES),
        ("candidates", candidates, votes, MOST_CANDIDATES),
    ):
        if type(given) is not int or not least <= given <= most:
            raise BadInput(f"{what} must be a whole number from {least} to {most}, not {given!r}")


def _over(state: DecomposedState, ending: StageEnding, why: str) -> DecomposedState:
    return replace(state, ended=ending, result=why)


def _undecided(stage: str, stall: Stalled, whys: Sequence[str]) -> str:
    last = next((why for why in reversed(whys) if why), "")
    return f"{stage}: {stall.sentence}" + (f"; the last that was no ballot: {last}" if last else "")
