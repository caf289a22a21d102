"""An answer elected among the replies of somebody else's client."""

import asyncio
import pickle
from collections.abc import Iterable
from itertools import count
from typing import Any

import pytest

from surefoot import BadInput
from surefoot.models.elected_answers import AnswerStalled, Ballots, check_vote, elect, offer_of, tool_schema
from surefoot.voting import Sample
from surefoot.voting.samples import Usage


def sample_of(reply: str) -> Sample:
    return Sample(reply, usage=Usage(prompt=3, completion=1))


def replies(texts: Iterable[str]) -> Any:
    left = iter(texts)

    async def draw() -> str:
        return next(left)

    return draw


async def test_the_first_reply_with_the_winning_answer_is_returned_with_all_that_it_took() -> None:
    draw = replies(["41", "42.0", "", "42", "forty-two", "42", "42"])
    found = await elect(draw, sample_of, ballots=Ballots("number"), votes=3, limit=10, accuracy=0.8)
    assert found.reply == "42.0" and len(found.replies) == found.vote.drawn == 7
    assert found.vote.usage == Usage(prompt=21, completion=7)
    said = found.vote.summary()
    assert (said["tally"], said["margin"], said["flags"]) == ([4, 1], 3, {"malformed": 2})
    assert 0.01 < said["risk"] < 0.02 and said["uncounted"] == 0


async def test_which_reply_comes_first_decides_nothing() -> None:
    """The first that was asked for comes last, and is the one that is returned."""
    numbers, others = count(), asyncio.Semaphore(0)

    async def draw() -> tuple[int, str]:
        number = next(numbers)
        if number:
            others.release()
        else:
            for _ in range(2):
                await others.acquire()
        return number, "42"

    found = await elect(draw, lambda reply: sample_of(reply[1]), ballots=Ballots("number"), votes=3)
    assert found.reply == (0, "42") and [number for number, _ in found.replies] == [1, 2, 0]


async def test_a_stall_says_what_it_took_and_survives_the_way_to_another_process() -> None:
    draw = replies(["1", "2", "1", "2", "?", "3"])
    with pytest.raises(AnswerStalled) as caught:
        await elect(draw, sample_of, ballots=Ballots("number"), votes=2, limit=6)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (
        str(again)
        == str(caught.value)
        == (
            "no answer leads by 2 votes after 6 samples (different ones: 3; thrown away: malformed: 1); "
            "ask for fewer votes, a higher limit, or another equality"
        )
    )
    assert again.usage.total == 24 and [each.text for each in again.examples] == ["1", "2", "3"]
    assert sorted(again.tally.values()) == [1, 2, 2]


async def test_an_error_of_the_client_ends_the_others() -> None:
    begun, ended = count(), []

    async def draw() -> str:
        if next(begun) == 2:
            raise ConnectionError("away")
        try:
            await asyncio.Event().wait()
            return "42"
        finally:
            ended.append(True)

    with pytest.raises(ConnectionError, match="away"):
        await elect(draw, sample_of, ballots=Ballots("number"), votes=3)
    assert len(ended) == 2


def test_one_tool_that_must_be_called_is_the_only_one_on_offer() -> None:
    tools = [tool_schema(name, None, None) for name in ("look", "leap")]
    forced = offer_of(tools, forced="leap")
    assert forced is not None and [tool.name for tool in forced.tools] == ["leap"]
    assert forced.choice == "required" and offer_of([]) is None
    for wrong in ({"forced": "run"}, {"choice": "required"}):
        with pytest.raises(BadInput, match="tool_choice"):
            offer_of([] if "choice" in wrong else tools, **wrong)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="the same name"):
        offer_of([*tools, tools[0]])


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"votes": 101}, "between 1 and 100, not 101"),
        ({"limit": 2}, "between the 3 votes that decide and 1,000, not 2"),
        ({"equality": "alike"}, "equality is one of auto, none,"),
        ({"accuracy": 0.5}, "above 0.5 and below 1, not 0.5"),
    ],
)
def test_a_vote_that_cannot_be_is_refused(wrong: Any, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        check_vote(**{"votes": 3, "limit": 24, "equality": "auto", "accuracy": None, **wrong})
