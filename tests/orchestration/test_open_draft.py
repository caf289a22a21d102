import pytest

from surefoot import BadInput, Columns, Speculation, Towers
from surefoot.models.base import ModelUnavailable
from surefoot.models.doubles import towers_double
from surefoot.models.doubles.server import DoubleServer
from surefoot.orchestration.engine.drafts import AskAhead, Draft, Rollout, Supplied
from surefoot.orchestration.engine.open_draft import open_draft
from surefoot.orchestration.engine.pipeline import Pipeline
from surefoot.orchestration.engine.recall import Recall

COMPACT, VERBOSE = Towers(5, "compact"), Towers(5)


@pytest.mark.parametrize(
    ("word", "task", "kind"),
    [
        ("leading", COMPACT, type(None)),
        ("short", COMPACT, Rollout),
        ("short", VERBOSE, Rollout),
        ("ahead", VERBOSE, AskAhead),
        ("recall", COMPACT, Recall),
    ],
)
async def test_drafts_have_names(word: str, task: Towers, kind: type) -> None:
    async with open_draft(Speculation(word, depth=9), task, towers_double()) as opened:
        assert opened is not None
        assert (type(opened.draft), opened.depth) == (kind, 9)


async def test_a_draft_and_no_speculation_are_taken_as_they_are() -> None:
    given = Speculation(Supplied(lambda state: None))
    async with open_draft(given, COMPACT, towers_double()) as opened:
        assert opened is given
    async with open_draft(None, COMPACT, towers_double()) as opened:
        assert opened is None


async def test_another_model_is_rolled_ahead_by_its_address() -> None:
    async with DoubleServer(towers_double()) as server:
        async with open_draft(Speculation(server.url), COMPACT, towers_double()) as opened:
            assert opened is not None
            assert isinstance(opened.draft, Rollout)
            states = opened.draft.propose([COMPACT.start()])
            first = await anext(states)
            await states.aclose()
        assert first == COMPACT.advance(COMPACT.start(), (first[0], None))
        assert server.stats.requests > 0


async def test_pebble_is_asked_in_its_own_style_whatever_the_main_model_is_asked() -> None:
    async with open_draft(Speculation("pebble"), VERBOSE, towers_double()) as opened:
        assert opened is not None
        assert isinstance(opened.draft, Draft)
        states = opened.draft.propose([VERBOSE.start()])
        first = await anext(states)
        await states.aclose()
    assert first == VERBOSE.advance(VERBOSE.start(), (first[0], None))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("short", "no short answer"),
        ("ahead", "another draft"),
        ("recall", "write `gist` and `unfold`"),
        ("psychic", "psychic"),
    ],
)
async def test_a_draft_that_cannot_be_is_refused(word: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        async with open_draft(Speculation(word), Columns(("12", "34")), towers_double()):
            pass


async def test_a_draft_model_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(ModelUnavailable):
        async with open_draft(Speculation("http://127.0.0.1:9/v1"), COMPACT, towers_double()):
            pass


def test_a_name_has_to_be_opened_first() -> None:
    with pytest.raises(BadInput, match="has not been opened"):
        Pipeline(towers_double(), Speculation("recall"))
