"""Climbs: takes a hard step from rung to rung until one decides it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic

from surefoot.agents.tasks.codec import written
from surefoot.agents.tasks.task import A, S
from surefoot.models.base import Model
from surefoot.orchestration import rungs
from surefoot.orchestration.engine.climbing import Ascent, HardStep
from surefoot.orchestration.engine.open_step import Decision, Drawn, StepStalled, Terms, seed_of
from surefoot.orchestration.events import Climbed
from surefoot.orchestration.journal.journal import Journal
from surefoot.orchestration.record import RungTally
from surefoot.orchestration.rungs import Ladder

from .backtrack import uncertain_from
from .elections import another_model, further_views, more_votes
from .lookahead import only_survivor

_FIRST_SEED = -10
"""Below the numbers that samples and rules have: the seeds of a rung are drawn with this and the following ones."""


class Climber(Generic[S, A]):
    """Decides the hard steps of one job, by the rungs of its ladder and with the models that they name."""

    def __init__(self, ladder: Ladder, models: Mapping[str, Model], journal: Journal) -> None:
        self._ladder, self._models, self._journal = ladder, models, journal

    async def climb(self, hard: HardStep[S, A]) -> Ascent[A]:
        """Return what became of it.  The same step, state, terms and samples lead to the same end."""
        way: _Way[S, A] = _Way(hard)
        for place, rung in enumerate(self._ladder.names):
            terms = replace(hard.terms, seed=seed_of(hard.terms.seed, hard.step, _FIRST_SEED - place))
            before = way.samples
            found = await self._at(rung, way, terms)
            if found is None:
                continue  # it has nothing to climb here
            way.rungs.append(found.tally._replace(samples=way.samples - before))
            decided = found.winner is not None
            self._journal.listen(Climbed(step=hard.step, rung=rung, decided=decided))
            if decided or found.back_to is not None:
                break
        else:
            asked: tuple[A, ...] = ()
            if rungs.PERSON in self._ladder.names and way.candidates:
                asked = tuple(way.candidates)
                way.rungs.append(RungTally(rungs.PERSON, 0, ()))
            return Ascent(rungs=tuple(way.rungs), drawn=tuple(way.drawn), candidates=asked)
        return Ascent(found.winner, tuple(way.rungs), tuple(way.drawn), found.back_to)

    async def _at(self, rung: str, way: "_Way[S, A]", terms: Terms[S, A]) -> "_Found[A] | None":
        """Try one rung; None if it is none for this step."""
        hard, ladder = way.hard, self._ladder
        match rung:
            case rungs.VOTES:
                return await way.elect(rung, more_votes(hard, terms, ladder.more))
            case rungs.VIEWS:
                others = further_views(hard, terms)
                return None if others is None else await way.elect(rung, others)
            case rungs.LOOKAHEAD:
                ahead = replace(hard, hold=way.hold)
                winner = await only_survivor(ahead, terms, way.candidates, ladder.ahead)
                return _Found(RungTally(rung, 0, ()), winner)
            case rungs.BACKTRACK:
                redo = self._journal.job.redo
                if terms.acting is not None or (redo is not None and hard.step <= redo[1]):
                    return None  # what was done to the world is not decided again, and nothing is twice
                back_to = await uncertain_from(self._journal)
                return None if back_to is None else _Found(RungTally(rung, 0, ()), back_to=back_to)
            case rungs.PERSON:
                return None
        return await way.elect(rung, another_model(hard, terms, ladder.model_k), self._models[rung])


@dataclass(slots=True)
class _Found(Generic[A]):
    """What a rung has found."""

    tally: RungTally
    winner: A | None = None
    back_to: int | None = None


@dataclass(slots=True)
class _Way(Generic[S, A]):
    """How far a step has climbed."""

    hard: HardStep[S, A]
    rungs: list[RungTally] = field(default_factory=list)
    drawn: list[Drawn] = field(default_factory=list)
    """Samples of the step itself."""
    samples: int = 0
    """All samples, those of steps ahead included."""
    candidates: Counter[A] = field(init=False)
    """All ballots for the step so far: what has any is a candidate."""
    _own: Counter[A] = field(init=False)
    """Those of the job's own model in the usual views."""
    _elected: set[A] = field(default_factory=set)
    """What an election has come to that no other has borne out."""

    def __post_init__(self) -> None:
        self.candidates, self._own = Counter(self.hard.stall.tally), Counter(self.hard.stall.tally)

    def _borne_out(self, winner: A) -> bool:
        """Whether it leads among the job's own ballots, level with others or alone, or another election has come to it; or there was no ballot."""
        if not self._own:
            return True
        return self._own[winner] == max(self._own.values()) or winner in self._elected

    async def elect(self, rung: str, terms: Terms[S, A], model: Model | None = None) -> _Found[A]:
        """Hold an election on the step itself; its winner decides if another election bears it out."""
        winner: A | None = None
        tally: Mapping[A, int]
        try:
            decision: Decision[A] = await self.hold(terms, self.hard.state, self.hard.step, model)
            winner, tally = decision.verdict.winner, decision.verdict.tally
        except StepStalled as stall:
            tally = stall.tally
        self.candidates.update(tally)
        if rung == rungs.VOTES:
            self._own.update(tally)  # as before, but more of them: they bear themselves out
        elif winner is not None and not self._borne_out(winner):
            self._elected.add(winner)
            winner = None
        codec = terms.task.answer_codec
        votes = tuple((written(codec, answer), count) for answer, count in tally.items())
        return _Found(RungTally(rung, 0, votes), winner)

    async def hold(
        self, terms: Terms[Any, Any], state: Any, step: int, model: Model | None = None
    ) -> Decision[Any]:
        """Hold an election, and keep its samples."""
        drawn: tuple[Drawn, ...] = ()
        try:
            decision: Decision[Any] = await self.hard.hold(terms, state, step, model)
            drawn = tuple(decision.drawn)
            return decision
        except StepStalled as stall:
            drawn = tuple(stall.drawn)
            raise
        finally:
            self.samples += len(drawn)
            if step == self.hard.step:
                first = len(self.hard.stall.drawn) + len(self.drawn)
                self.drawn += [(first + number, *rest) for number, *rest in drawn]
