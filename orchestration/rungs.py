"""A ladder as it is configured: what a step climbs that its own election cannot decide, and when it climbs.

The climbing itself is in the package `ladder`.
"""

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Self

from surefoot.errors import BadInput
from surefoot.models.base import Model, check_model
from surefoot.models.openai.redaction import without_keys_in_query
from surefoot.typed_input import check_fields

VOTES, VIEWS, LOOKAHEAD, BACKTRACK, PERSON = RUNGS = ("votes", "views", "lookahead", "backtrack", "person")
"""What a rung may be besides another model."""
MODEL = "model"
_ANOTHER = f"{MODEL}="
_COMMA = re.compile(rf",\s*(?=(?:{'|'.join(RUNGS)})(?:,|$)|{_ANOTHER})")
"""Between two rungs; an address may have commas of its own."""
LARGEST = 1_000
"""The largest number of steps looked ahead, and the largest factor of the limit."""


@dataclass(frozen=True)
class Ladder:
    """The rungs, in the order in which a hard step climbs them.  Raises `BadInput` for what cannot be.

    Ladder(("votes", "views", "person"))                 rungs by name
    Ladder(("views", "model=http://gpu:8000/v1"))        another model, by its address
    Ladder(("views", double), model_k=5)                 or a `Model`, with a lead of its own
    Ladder(("person",), dissent=1)                       climbs at the first vote against the leader

    `votes`      the step is asked again, with twice the lead and a larger limit
    `views`      it is asked in the further views of a task that `Rephrases`
    `model=...`  another model is asked, in an election of its own
    `lookahead`  the one candidate is taken whose next steps stay valid
    `backtrack`  the contested steps before it, in its segment, are decided again, with other seeds and a larger lead
    `person`     the job asks, and `surefoot decide` answers

    The first three decide only for an answer with twice the votes of any other; further views and other models only for one that leads among the
    job's own ballots, too, level with others or alone, or that another rung has come to.
    """

    rungs: tuple[str | Model, ...]
    """In the order in which they are climbed: names, `model=` and an address, or a `Model`."""
    _: KW_ONLY
    dissent: int | None = 2
    """A step climbs as soon as so many votes are against its leader; None: only where its samples are used up."""
    more: int = 4
    """The rung `votes` may use so many times the job's limit of samples."""
    ahead: int = 8
    """Steps that `lookahead` looks ahead."""
    model_k: int | None = None
    """The lead that decides an election of another model; None for the job's own."""
    # The journal's settings are read with pydantic, which would not take a `Model` without being told.
    __pydantic_config__: ClassVar[dict[str, bool]] = {"arbitrary_types_allowed": True}

    def __post_init__(self) -> None:
        check_fields(self)
        for what, least in (("dissent", 1), ("more", 2), ("ahead", 1), ("model_k", 1)):
            value = getattr(self, what)
            if value is not None and not least <= value <= LARGEST:
                raise BadInput(f"{what} of a ladder is a number from {least} to {LARGEST:,}, not {value!r}")
        for rung in self.rungs:
            if not isinstance(rung, str):
                check_model(rung)
            elif rung not in RUNGS and not (rung.startswith(_ANOTHER) and rung != _ANOTHER):
                raise BadInput(f"a rung is {', '.join(RUNGS)}, {_ANOTHER}ADDRESS or a Model, not {rung!r}")
        names = self.spelled
        if not names or len({*names}) < len(names):
            raise BadInput(f"a ladder has rungs, and each of them once, not {', '.join(names)!r}")
        if PERSON in names[:-1]:
            raise BadInput(f"a person is the last rung: nothing comes after {PERSON!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """What the journal calls the rungs: `model`, `model 2`, ... where another model is asked."""
        names: list[str] = []
        for rung in self.spelled:
            models = sum(name.startswith(MODEL) for name in names)
            names.append(rung if rung in RUNGS else f"{MODEL} {models + 1}" if models else MODEL)
        return tuple(names)

    @property
    def models(self) -> dict[str, str | Model]:
        """The other models, by address or as objects, by the names of their rungs."""
        return {
            name: rung.removeprefix(_ANOTHER) if isinstance(rung, str) else rung
            for name, rung in zip(self.names, self.rungs, strict=True)
            if name not in RUNGS
        }

    @property
    def spelled(self) -> tuple[str, ...]:
        """The rungs in words: models by name, addresses without keys."""
        return tuple(
            _without_keys(rung) if isinstance(rung, str) else f"{_ANOTHER}{rung.name}" for rung in self.rungs
        )

    def kept(self) -> Self:
        """Return the ladder as the journal keeps it."""
        return replace(self, rungs=self.spelled)

    def written(self) -> dict[str, Any]:
        """Return plain values for the journal."""
        own = {name: getattr(self, name) for name in ("dissent", "more", "ahead", "model_k")}
        return {"rungs": list(self.spelled), **own}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Self:
        """Read what was `written`; `ValueError`, `TypeError`, `KeyError` or `AttributeError` for anything else."""
        return cls(**{**plain, "rungs": tuple(plain["rungs"])})


def read_rungs(text: str) -> tuple[str, ...]:
    """Split what is typed, `votes,views,model=URL,person`, into rungs; what is none of them `Ladder` refuses."""
    return tuple(_COMMA.split(text))


def _without_keys(rung: str) -> str:
    """Return a rung without the keys that an address in it may have; there may be several, with blanks between them."""
    return re.sub(r"\S+", lambda part: without_keys_in_query(part[0]), rung)
