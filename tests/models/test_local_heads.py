"""What a compressed cache keeps, which heads a study leaves whole, and where stop strings end a text; nothing here needs torch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.models.local import (
    CacheShape,
    CompressedKV,
    Head,
    HeadStudy,
    LocalModel,
    NoLocalModel,
    Trial,
    study_heads,
)
from surefoot.models.local.model import LIBRARIES
from surefoot.models.local.stops import Stops

PONDER = CacheShape(layers=3, heads=4, width=32, item_bytes=4)
NEEDED = frozenset({Head(1, 3), Head(2, 3), Head(3, 3)})


async def worth(kv: CompressedKV | None) -> Trial:
    """A model that needs three heads: without one it loses a third of its answers, with any two others windowed it rambles."""
    windowed = kv.windowed if kv else frozenset()
    lost, others = len(windowed & NEEDED), len(windowed - NEEDED)
    return Trial(0.9 - 0.3 * lost, 150.0 + others, 0.01 * others)


async def test_a_study_finds_the_heads_that_are_needed() -> None:
    study = await study_heads(PONDER, worth)
    assert study.important == NEEDED
    assert study.trial == Trial(0.9, 159.0, 0.09)
    assert set(study.ranked()[-3:]) == NEEDED
    control = study.wrong_heads()
    assert len(control.windowed) == 9 and control.windowed >= NEEDED


async def test_a_study_counts_heads_that_only_together_are_too_many() -> None:
    async def rambles(kv: CompressedKV | None) -> Trial:
        return Trial(0.9 if kv is None or len(kv.windowed) < 5 else 0.5, 150.0, 0.0)

    study = await study_heads(PONDER, rambles)
    assert len(study.chosen.windowed) == 4
    assert study.trial.right == 0.9


async def test_a_study_asks_twice_for_each_head_and_once_without() -> None:
    asked: list[CompressedKV | None] = []

    async def counted(kv: CompressedKV | None) -> Trial:
        asked.append(kv)
        return await worth(kv)

    study: HeadStudy = await study_heads(PONDER, counted, sinks=4, window=16)
    assert len(asked) == 2 * 12 + 1
    assert (study.chosen.sinks, study.chosen.window) == (4, 16)


def test_bytes_are_those_of_whole_heads_and_of_windows() -> None:
    kv = CompressedKV(set(PONDER.every) - NEEDED, sinks=8, window=48)
    assert PONDER.bytes(155) == 155 * 3072
    assert PONDER.bytes(155, kv) == 256 * (3 * 155 + 9 * 56)
    assert PONDER.bytes(40, kv) == PONDER.bytes(40)


@pytest.mark.parametrize(("sinks", "window"), [(-1, 4), (4, 0)])
def test_a_window_without_tokens_is_refused(sinks: int, window: int) -> None:
    with pytest.raises(BadInput, match="sinks and 1 or more recent tokens"):
        CompressedKV({Head(1, 0)}, sinks, window)


@pytest.mark.parametrize("head", [Head(0, 0), Head(4, 0), Head(1, 4)])
def test_heads_that_there_are_not_are_refused(head: Head) -> None:
    with pytest.raises(BadInput, match=r"heads 1\.0 to 3\.3"):
        CompressedKV({head}).check(PONDER)


@given(st.text("abx", max_size=30), st.lists(st.text("abx", min_size=1, max_size=4), max_size=3), st.data())
def test_a_stop_string_ends_a_text_however_it_is_cut(
    text: str, stops: list[str], data: st.DataObject
) -> None:
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    passed, watched = "", Stops(stops)
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        passed += watched.feed(text[start:end])
    passed += watched.end()
    assert watched.stopped is bool(places)
    # In pieces the first stop string to be complete ends the text, which may begin after a longer one does.
    assert text.startswith(passed)
    assert not places or min(places) <= len(passed) <= max(places)
    assert places or passed == text


async def test_without_the_extra_it_says_what_to_install() -> None:
    from importlib.util import find_spec

    if all(map(find_spec, LIBRARIES)):
        pytest.skip("the extra is here")
    with pytest.raises(NoLocalModel, match=r"pip install 'surefoot\[local\]'"):
        async with LocalModel("nowhere"):
            pass


@pytest.mark.parametrize(("slots", "threads"), [(0, None), (4, 0)])
def test_numbers_below_one_are_refused(slots: int, threads: int | None) -> None:
    with pytest.raises(BadInput, match="at least 1"):
        LocalModel("nowhere", slots=slots, threads=threads)
