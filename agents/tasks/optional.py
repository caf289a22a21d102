"""What a task may do besides: the Protocols that calibration, acting on the world and speculation look for.

A task does one of these by having its methods; there is nothing to derive from and nothing to register.

    Calibrates    case                     k is found from a reliability
    Acts          acts, act                the world answers a step, and no model is asked
    Stakes        lead                     some answers need a larger lead than others
    Classifies    step_kind               a risk budget spends more on kinds of steps that err more
    Offers        offer                    the model may call tools
    Measures      measured                 an answer keeps how long its prompt was
    Fits          fit                      prompts are kept within the model's context
    Rephrases     paraphrases              a hard step is asked in further views
    Reuses        reusable                 a step that asks what an earlier one asked takes its verdict
    Guesses       guess                    an answer that is expected comes faster
    Shortens      short                    the draft `short`
    AsksAhead     ask_ahead, read_ahead    the draft `ahead`
    Recurs        gist, unfold             the draft `recall`
    Splits        boundary                 parts of the job run at the same time, on any number of machines

Each is looked for once a run, by isinstance.  Half of one, or a name that is a slip away from one, or from a member
that is inherited, is refused before anything is spent.
"""

import random
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from difflib import get_close_matches
from inspect import iscoroutinefunction, isfunction, signature
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from surefoot.errors import SurefootError
from surefoot.models.base import Prompt
from surefoot.models.offers import Offer
from surefoot.voting.flags import Flag

from .failures import TaskFailed, said
from .task import A, S, Task

S_contra = TypeVar("S_contra", bound=Hashable, contravariant=True)
A_contra = TypeVar("A_contra", bound=Hashable, contravariant=True)
S_co = TypeVar("S_co", bound=Hashable, covariant=True)
A_co = TypeVar("A_co", bound=Hashable, covariant=True)

ALIKE = 0.8
"""How much of two names is the same, from 0 to 1, if one is taken for a slip of the other."""


class NoCases(SurefootError):
    """The task cannot be calibrated."""


class Case(NamedTuple, Generic[S, A]):
    """A state to calibrate on."""

    state: S
    answer: A | None = None
    """The right answer, or None where the task does not know it."""


@runtime_checkable
class Calibrates(Protocol[S, A]):
    """Draws states, so that the model's error rate can be measured on them."""

    @abstractmethod
    def case(self, rng: random.Random) -> Case[S, A]:
        """Draw a random state of this job for calibration, with its right answer if the task knows it.

        States must differ from call to call: an error rate measured on one state says nothing about the others.
        """


class DecisionNeeded(SurefootError):
    """A person has to decide before a job can go on; the question is bound to the very step and history that raised it."""

    def __init__(self, question: str, choices: Sequence[str] = ()) -> None:
        super().__init__(question)
        self.question = question
        self.choices = tuple(choices)
        """What may be answered; empty if anything may."""


class Attempt(NamedTuple):
    """One attempt to act at a step."""

    step: int
    """With the job's name a key by which the world may know that it has seen this act before."""
    again: bool = False
    """Whether an earlier attempt began and nobody knows how far it came."""
    decided: str | None = None
    """What a person answered to the question that the attempt before raised.  It holds for this attempt alone."""


@runtime_checkable
class Acts(Protocol[S_contra, A_co]):
    """Touches the world, at steps that no model is asked for: the world answers them.

    What has been decided before such a step is durable before it begins, and its answer is durable before anything is
    asked that builds on it.  A segment with such a step is never decided again.
    """

    @abstractmethod
    def acts(self, state: S_contra) -> bool:
        """Whether the step at `state` is answered by the world, through `act`."""

    @abstractmethod
    async def act(self, state: S_contra, attempt: Attempt) -> A_co:
        """Do to the world what `state` says, a file, a command, an order, and return what it answered: the step's answer.

        After a kill in the middle of it, or after it has raised, the next attempt has `again`: whether it was done, only the world knows.
        Raise `DecisionNeeded` if a person has to say; the job then waits for `surefoot decide`, and the next attempt is told the word.
        """


@runtime_checkable
class Stakes(Protocol[A_contra]):
    """Wants some answers to be surer than others: a reading may need one vote, a deletion five."""

    @abstractmethod
    def lead(self, answer: A_contra) -> int:
        """Return by how many votes this answer must lead every other; no less than the job's k ever decides."""


@runtime_checkable
class Classifies(Protocol[S_contra]):
    """Tells kinds of steps apart before anybody is asked: by length, by place, by what has been difficult before."""

    @abstractmethod
    def step_kind(self, state: S_contra) -> str:
        """Return the kind of the step at `state`, a short name; a handful for a job, since each kind is calibrated by itself."""


@runtime_checkable
class Offers(Protocol[S_contra]):
    """Lets the model call tools; the calls stand in the text that `read` is given, see `surefoot.models.read_calls`."""

    @abstractmethod
    def offer(self, state: S_contra) -> Offer | None:
        """Return what may be called at `state`; None if nothing may."""


@runtime_checkable
class Measures(Protocol[A]):
    """Learns from each answer how long the prompt was, in the tokens of the model, so that later ones can be made to fit.

    States that keep it are not expected: what is asked ahead of a step whose answer was measured is wasted.
    """

    @abstractmethod
    def measured(self, answer: A, prompt_tokens: int) -> A:
        """Return a step's answer, equal to what was voted for, with what is to be kept of the length of its prompt; it goes into the journal."""


@runtime_checkable
class Fits(Protocol):
    """Keeps its prompts within the model's context."""

    @abstractmethod
    def fit(self, context: int) -> None:
        """Take note of how many tokens prompt and answer may have together; called before the first step of a run, if the model says it."""


@runtime_checkable
class Rephrases(Protocol):
    """Has further views of a step, for the ladder: other words, another order, another picture of the same."""

    @abstractmethod
    def paraphrases(self) -> int:
        """Return how many views there are beyond `views`; `ask` and `read` are called with `view` from `views` on."""


@runtime_checkable
class Reuses(Protocol[S_contra]):
    """Says where a prompt holds all that matters, so that what was decided for it holds wherever the very same is asked again.

    Such a step takes the verdict of the latest one that asked the same, in all views, within the last 65,536 steps of its job.  No sample is drawn
    and no vote is counted, and its record says whose verdict it is.  A mistake is taken along as well: give the task an `audit`.
    """

    @abstractmethod
    def reusable(self, state: S_contra) -> bool:
        """Whether the verdict of the step at `state` may be taken from, and for, others that ask the same."""


@runtime_checkable
class Guesses(Protocol[S_contra]):
    """Knows what a sample would say; a guess can make an answer faster and never different."""

    @abstractmethod
    def guess(self, state: S_contra, after: S_contra, view: int = 0) -> str | None:
        """Return the text of a sample that leads from `state` to `after`, as seen in `view`, or None if that is unknown."""


@runtime_checkable
class Shortens(Protocol[S]):
    """Has a shorter answer for drafts to ask for."""

    @abstractmethod
    def short(self) -> Task[S, Any]:
        """Return the same job, over the same states, with a shorter answer."""


@runtime_checkable
class AsksAhead(Protocol[S]):
    """Asks for several steps in one call, for a draft."""

    @abstractmethod
    def ask_ahead(self, state: S, steps: int) -> Prompt | None:
        """Ask for the next `steps` steps in one call; None if this task, made as it is, does not know how to."""

    @abstractmethod
    def read_ahead(self, text: str, state: S) -> Sequence[S]:
        """Return the states that an answer to `ask_ahead` leads to, one a step; raise `NotAnAnswer` if malformed."""


@runtime_checkable
class Recurs(Protocol[S]):
    """Has steps that recur, so that a draft can remember what followed."""

    @abstractmethod
    def gist(self, state: S, after: S) -> Hashable | None:
        """Return what led from `state` to `after` in a form that recurs, or None if there is none."""

    @abstractmethod
    def unfold(self, state: S, gist: Hashable) -> S | None:
        """Return the state that this gist leads to from `state`, or None if it cannot be."""


@runtime_checkable
class Splits(Protocol[S_co]):
    """Knows states of the right way in advance, so that parts of the job can begin before those in front of them are done."""

    @abstractmethod
    def boundary(self, step: int) -> S_co:
        """Return the state before a step, as it is where all steps before are right; `boundary(0)` is `start()`.

        It is called for steps from 0 to `steps()` - 1.  Each part of a job is solved only if it ends at the state that the next one starts from.
        """


OPTIONAL = tuple(
    each.__abstractmethods__
    for each in (
        Calibrates,
        Acts,
        Stakes,
        Classifies,
        Offers,
        Measures,
        Fits,
        Rephrases,
        Reuses,
        Guesses,
        Shortens,
        AsksAhead,
        Recurs,
        Splits,
    )
)
"""The methods of each."""


MEMBERS = [name for name in vars(Task) if name[0] != "_"]
"""What every task has, by itself or by default."""


def calibrating(task: Task[S, A]) -> Calibrates[S, A]:
    """Return the task as one that draws states; raises `NoCases` if it does not."""
    if not isinstance(task, Calibrates):
        raise NoCases(
            f"task {task.name!r} does not say how to draw states for calibration: give k, or write `case`"
        )
    return task


def check_optional(task: Task[Any, Any]) -> None:
    """Raise `TaskFailed` for what would be overlooked: half of a Protocol, an attribute in place of a method, a name with a slip in it."""
    lacking: list[str] = []
    for methods in OPTIONAL:
        # As isinstance does: one that a class sets to None it does not have.
        found = {name: has for name in sorted(methods) if (has := getattr(task, name, None)) is not None}
        for name, has in found.items():
            if not callable(has):
                raise TaskFailed(task.name, name, f"it is {said(has)}", "write it as a method")
            for other in methods - found.keys():
                raise TaskFailed(task.name, name, f"there is no `{other}` to it", "write both or neither")
        lacking += methods - found.keys()
    if isinstance(task, Acts) and not iscoroutinefunction(task.act):  # else found out when it has acted
        raise TaskFailed(task.name, "act", "it cannot be awaited", "write it as `async def`")
    if isinstance(task, Acts) and not _takes(task.act, 2):
        why = "it cannot be called with a state and an attempt"
        raise TaskFailed(task.name, "act", why, "write it as `async def act(self, state, attempt)`")
    kind = type(task)
    order = {name: place for place, each in reversed([*enumerate(kind.__mro__)]) for name in vars(each)}
    own = {name: getattr(kind, name, None) for name in order if name[0] != "_" and not hasattr(Task, name)}
    for name in sorted({*lacking, *MEMBERS} - vars(task).keys()):
        slips = [
            slip
            for slip, has in own.items()
            if (
                callable(has)
                if name not in MEMBERS
                else order[slip] < order[name] and _takes_place(has, name)
            )
        ]
        for slip in get_close_matches(name, slips, 1, ALIKE):
            why = f"it may be meant for `{name}`, and is not found by that name"
            raise TaskFailed(task.name, slip, why, f"call it that, or `_{slip}` if it is something else")


def _takes(function: Any, arguments: int) -> bool:
    """Whether a function can be called with so many arguments."""
    try:
        signature(function).bind(*[None] * arguments)
    except TypeError:
        return False
    except ValueError:
        return True  # one that does not tell its signature
    return True


def _takes_place(has: Any, name: str) -> bool:
    """Whether it could be meant for a member: a method with as many parameters, or a value of its type."""
    usual = getattr(Task, name)
    if isfunction(usual):
        return isfunction(has) and len(signature(has).parameters) == len(signature(usual).parameters)
    return usual is not None and isinstance(has, Flag if name == "flags" else type(usual))
