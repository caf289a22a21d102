"""A question about pictures as a task: a planner that cannot see asks, a perceiver that cannot reason looks, and every word is voted on.

    caption, once for each picture, if wanted -> plan -> | questions: look, once for each -> plan ...
                                                         | answer

| stage | who is asked | decided |
| --- | --- | --- |
| caption | the perceiver: one whole picture and the question that every picture gets | by one sample |
| plan | the planner: the question, and what has been seen; never a picture | questions by one sample; an answer leads by `votes` |
| rephrase | the planner: one of its questions that tells what to see, and nothing else | by one sample |
| look | the perceiver: one picture, or a part of it, and one question; no history, no goal | first to be ahead by `votes` |

After "Decoupling Reasoning and Perception: An LLM-LMM Framework for Faithful Visual Reasoning" (arXiv 2509.23322).  Captions without any rounds
are Prism's order (arXiv 2406.14544): one description, then reasoning.  Run it with a model that is a planner and a perceiver
(`surefoot.models.perceivers.Sighted`), and with `Settings(k=1)`: `votes` is the lead that counts.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from surefoot.agents.tasks.task import Task, Value
from surefoot.errors import BadInput
from surefoot.models.base import Message, Prompt, Sampling
from surefoot.printable import encodable
from surefoot.tools.answers.normal_forms import Kind
from surefoot.tools.pictures.crops import Box, Framing, framed
from surefoot.tools.pictures.picture import Picture
from surefoot.tools.pictures.pixels import size_of
from surefoot.tools.pictures.reading import MOST_PICTURES
from surefoot.typed_input import checked
from surefoot.voting.flags import NotAnAnswer

from . import prompts
from .looking_state import (
    ANSWERS,
    EXTENDING_STATES,
    STATES,
    Answered,
    Captioned,
    Described,
    ExtendingState,
    LookingAnswer,
    LookingState,
    Observation,
    Queries,
    Query,
    RatedQueries,
    Region,
    Rephrased,
)

FRAMINGS: tuple[Framing, ...] = ("as it is", "ink")
"""How a part of a picture is shown, in turn: a perceiver that looks twice at the very same pixels may have said nothing new.  Colours stay; and
at twice the size a model that brings all pictures to one size sees the same again."""
MOST_CHARACTERS = 32_000_000
"""Of all data URLs: they are kept with the job."""
MOST_SHOWN = 24
"""Framed pictures that are kept: the ballots of a step come close together."""
MOST_ROUNDS = 10
LEAST_TO_EXTEND = 2
"""Rounds after which a confidence can have risen."""
MOST_VOTES = 50
LONGEST = 100_000

_Stage = Literal["caption", "plan", "rephrase", "look"]


class Looking(Task[LookingState, LookingAnswer]):
    """Answer `problem` about `pictures`.

    `pictures` are data URLs (`Picture.url`), so that a job can be taken up on another machine.  `kind` is that of the answer.  `rounds`: so often
    the planner may ask, up to three questions each time; then it has to answer.  `readers` are names of a `surefoot.models.perceivers.Panel`, asked
    in turn; without any there is one perceiver.

    `caption`: a question that every whole picture is asked first, of at most 300 characters; with `rounds=0` the planner has nothing else to go by.
    `extend`: the planner says with its questions how sure it is of its best answer so far, and may ask in one round more, ten in all, as long as the
    confidence that came with its last questions is above that with those before.  `rephrase`: a question that tells what to see is written anew by
    the planner's model, which is shown nothing else; without, it is a red flag.
    """

    name = "looking"
    sampling = Sampling(temperature=0.7, first_temperature=None, max_tokens=2048)
    state_codec = STATES
    answer_codec = ANSWERS

    @checked
    def __init__(
        self,
        problem: str,
        pictures: tuple[str, ...],
        kind: Kind = "any",
        votes: int = 2,
        rounds: int = 2,
        readers: tuple[str, ...] = (),
        caption: str = "",
        extend: bool = False,
        rephrase: bool = False,
    ) -> None:
        problem = problem.strip()
        if not problem or len(problem) > LONGEST or not encodable(problem):
            raise BadInput(f"a problem is a text of 1 to {LONGEST:,} characters")
        if not 1 <= len(pictures) <= MOST_PICTURES:
            raise BadInput(f"1 to {MOST_PICTURES} pictures are looked at, not {len(pictures)}")
        if sum(map(len, pictures)) > MOST_CHARACTERS:
            raise BadInput(
                f"pictures of more than {MOST_CHARACTERS:,} characters as data URLs: make them smaller"
            )
        if not 1 <= votes <= MOST_VOTES:
            raise BadInput(f"votes are a lead of 1 to {MOST_VOTES}, not {votes!r}")
        if not 0 <= rounds <= MOST_ROUNDS:
            raise BadInput(f"rounds are 0 to {MOST_ROUNDS}, not {rounds!r}")
        if kind == "code":
            raise BadInput("an answer is one line, and code is more")
        if extend and rounds < LEAST_TO_EXTEND:
            raise BadInput(
                f"rounds are extended from {LEAST_TO_EXTEND} on, before no confidence can rise: not from {rounds!r}"
            )
        self._problem, self._kind, self._votes, self._rounds = problem, kind, votes, rounds
        self._urls, self._readers = pictures, readers
        self._caption, self._extend, self._rephrase = _caption(caption), extend, rephrase
        if extend:
            self.state_codec = EXTENDING_STATES
        self.views = len(FRAMINGS) * max(1, len(readers))
        self._pictures = [_picture(url) for url in pictures]
        self._sizes = [size_of(picture) for picture in self._pictures]
        self._shown = lru_cache(maxsize=MOST_SHOWN)(self._framed)

    def spec(self) -> Mapping[str, Value]:
        """The constructor's arguments; those that came later only where they are given, as a job's hash chain begins with them."""
        spec: dict[str, Value] = {
            "problem": self._problem,
            "pictures": self._urls,
            "kind": self._kind,
            "votes": self._votes,
            "rounds": self._rounds,
            "readers": self._readers,
        }
        later: dict[str, Value] = {
            "caption": self._caption,
            "extend": self._extend,
            "rephrase": self._rephrase,
        }
        return spec | {name: given for name, given in later.items() if given}

    def start(self) -> LookingState:
        """Nothing has been seen; with a caption all pictures wait to be looked at."""
        numbers = range(1, len(self._pictures) + 1) if self._caption else ()
        waiting = tuple(Query(self._caption, number) for number in numbers)
        return (ExtendingState if self._extend else LookingState)(waiting=waiting)

    def ask(self, state: LookingState, view: int = 0) -> Prompt:
        """Ask the perceiver what waits to be looked at; the planner, where nothing does."""
        stage = self._stage(state)
        if stage == "plan":
            may_ask = self._may_ask(state)
            return prompts.plan(self._problem, self._sizes, state.observations, may_ask, rated=self._extend)
        query = state.waiting[0]
        if stage == "rephrase":
            return prompts.rephrase(query.question)
        framing, reader = divmod(view % self.views, max(1, len(self._readers)))
        addressed = f"[{self._readers[reader]}]\n" if self._readers else ""
        shown = self._shown(query.picture, query.region, FRAMINGS[framing])
        return (Message("user", addressed + query.question, (shown,)),)

    def read(self, text: str, state: LookingState, view: int = 0) -> LookingAnswer:
        """Read a planner's last line, or all that a perceiver says."""
        match self._stage(state):
            case "caption":
                return prompts.read_caption(text)
            case "look":
                return prompts.read_description(text)
            case "rephrase":
                return prompts.read_rephrased(text)
            case _:
                asked = {seen.query for seen in state.observations}
                may_ask = self._may_ask(state)
                return prompts.read_plan(
                    text,
                    self._kind,
                    self._sizes,
                    asked,
                    may_ask,
                    rated=self._extend,
                    may_lead=self._rephrase,
                )

    def lead(self, answer: LookingAnswer) -> int:
        """What to look at is one sample's word: it may cost a look, and decides nothing.  Captions are prose, of which no two would agree."""
        return self._votes if isinstance(answer, Described | Answered) else 1

    def advance(self, state: LookingState, answer: LookingAnswer) -> LookingState:
        """Take a step."""
        match answer:
            case Queries(queries=queries):
                return replace(state, waiting=queries, rounds=state.rounds + 1)
            case RatedQueries(queries=queries, confidence=confidence):
                assert isinstance(state, ExtendingState)
                confidences = (*state.confidences, confidence)
                return replace(state, waiting=queries, rounds=state.rounds + 1, confidences=confidences)
            case Rephrased(question=question):
                return _asked_instead(state, question)
            case Described(said=said) | Captioned(said=said):
                query, *rest = state.waiting
                seen = Observation(query, self._pictures[query.picture - 1].digest, said)
                return replace(state, observations=(*state.observations, seen), waiting=tuple(rest))
            case Answered(said=said):
                return replace(state, answer=said)

    def finished(self, state: LookingState) -> bool:
        """Whether there is an answer."""
        return state.answer is not None

    def show(self, answer: LookingAnswer) -> str:
        """Write a decided answer for a person."""
        match answer:
            case Queries(queries=queries):
                return "ask " + " | ".join(map(prompts.told, queries))
            case RatedQueries(queries=queries, confidence=confidence):
                return f"ask, {confidence} % sure, " + " | ".join(map(prompts.told, queries))
            case Rephrased(question=question):
                return f"rephrase {question}"
            case Described(said=said) | Captioned(said=said):
                return f"see {said}"
            case Answered(said=said):
                return f"answer {said}"

    def _stage(self, state: LookingState) -> _Stage:
        if not state.waiting:
            return "plan"
        if self._caption and not state.rounds:  # the planner has asked for nothing yet
            return "caption"
        return "rephrase" if self._rephrase and prompts.leads(state.waiting[0].question) else "look"

    def _may_ask(self, state: LookingState) -> bool:
        rising = isinstance(state, ExtendingState) and state.rising
        return state.rounds < (MOST_ROUNDS if rising else self._rounds)

    def _framed(self, number: int, region: Region | None, framing: Framing) -> Picture:
        return framed(self._pictures[number - 1], framing, None if region is None else Box(*region))


def _asked_instead(state: LookingState, question: str) -> LookingState:
    """Return the state in which another question waits in place of the first one; none, if that waits or was answered already."""
    first, *rest = state.waiting
    query = replace(first, question=question)
    known = query in rest or any(seen.query == query for seen in state.observations)
    return replace(state, waiting=tuple(rest) if known else (query, *rest))


def _caption(question: str) -> str:
    """Return the question as it is asked; empty if none is wanted."""
    try:
        return prompts.askable(question) if question.strip() else ""
    except NotAnAnswer as error:
        raise BadInput(f"no caption can be asked for like this: {error}") from None


def _picture(url: str) -> Picture:
    try:
        return Picture.of_url(url)
    except ValueError as error:
        raise BadInput(str(error)) from None
