"""Thinking falls into the same thoughts however it arrives."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from surefoot.agents.reasoning.thoughts import Cues, Thought, Thoughts

FRAGMENTS = [
    *("wait", "Wait", "Hmm", "alternatively", "another way", "hold on", "that's correct", "await", "verify"),
    *(".", "!", "?", "\n", "\n\n", " ", "  ", "7", "wai", "t", "so", ","),
]
TEXTS = st.lists(st.sampled_from(FRAGMENTS), max_size=15).map("".join)


def split(parts: Sequence[str], cues: Cues | None = None) -> list[Thought]:
    thoughts = Thoughts(cues or Cues())
    found = [thought for part in parts for thought in thoughts.feed(part)]
    return found + thoughts.end()


@given(TEXTS, st.sets(st.integers(0, 100), max_size=10), st.sampled_from(["\n\n", "\n"]))
def test_any_cut_gives_the_same_thoughts(text: str, borders: set[int], separator: str) -> None:
    places = [0, *sorted(border % (len(text) + 1) for border in borders), len(text)]
    parts = [text[start:end] for start, end in pairwise(places)]
    cues = Cues(separator=separator)
    assert split(parts, cues) == split([text], cues) == split(list(text), cues)


@given(TEXTS)
def test_the_thoughts_joined_are_the_whole_but_for_white_space_at_its_end(text: str) -> None:
    joined = "".join(thought.text for thought in split([text]))
    assert text.startswith(joined)
    assert not text[len(joined) :].strip()


@given(st.lists(st.tuples(st.sampled_from(FRAGMENTS), st.integers(0, 5)), max_size=20))
def test_every_token_is_booked_once(chunks: list[tuple[str, int]]) -> None:
    thoughts = Thoughts()
    found = [thought for text, tokens in chunks for thought in thoughts.feed(text, tokens)]
    found += thoughts.feed("end") + thoughts.end()
    assert sum(thought.tokens for thought in found) == sum(tokens for _, tokens in chunks)


def test_cue_words_that_begin_a_sentence_begin_a_thought() -> None:
    text = "3 + 4 is 7. Wait, is it? Yes.\nAlternatively, count. I wait for nobody."
    assert [thought.text for thought in split([text])] == [
        "3 + 4 is 7. ",
        "Wait, is it? Yes.\n",
        "Alternatively, count. I wait for nobody.",
    ]


def test_kinds_follow_the_cue_words() -> None:
    kinds = {
        "3 + 4 is 7": "execution",
        "Hmmm, no": "reflection",
        "Verifying: yes": "reflection",
        "So that's correct": "reflection",
        "Alternatively, wait": "transition",
        "There is another way": "transition",
        "We await the result": "execution",
    }
    assert {text: split([text])[0].kind for text in kinds} == kinds


def test_cues_are_a_setting() -> None:
    cues = Cues(("moment",), ("otherwise",), "|")
    found = split(["1+1|wait. Moment, 2|Otherwise 3"], cues)
    assert [(thought.text, thought.kind) for thought in found] == [
        ("1+1|", "execution"),
        ("wait. ", "execution"),
        ("Moment, 2|", "reflection"),
        ("Otherwise 3", "transition"),
    ]
