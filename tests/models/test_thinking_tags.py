"""Thinking and answer are told apart the same way however the stream is cut."""

import json
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.models.openai.wire import chunks
from surefoot.models.tags import THINK, Split, Tags, ThinkParser

Runs = list[tuple[str, str]]


def merged(splits: list[Split]) -> Runs:
    """What was told, neighbours of one kind joined."""
    runs: Runs = []
    for split in splits:
        kind, text = next((k, v) for k, v in split._asdict().items() if v)
        if runs and runs[-1][0] == kind and kind != "unopened":
            runs[-1] = (kind, runs[-1][1] + text)
        else:
            runs.append((kind, text))
    return runs


def parsed(parts: list[str], begun: str = "", tags: Tags = THINK) -> Runs:
    parser = ThinkParser(begun, tags)
    return merged([split for part in parts for split in parser.feed(part)] + parser.end())


def cut(text: str, borders: set[int]) -> list[str]:
    places = [0, *sorted(border % (len(text) + 1) for border in borders), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


# Alphabets of tag fragments find in a few examples what random letters never would.
FRAGMENTS = ["<think>", "</think>", "<", "</", "think>", "<thi", "nk>", ">", "a", "ß", "…", "𝔸", " ", "\n"]
TEXTS = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)
BORDERS = st.sets(st.integers(0, 200), max_size=20)


@given(TEXTS, BORDERS, TEXTS, st.booleans())
def test_any_cut_of_the_text_gives_the_same_parse(
    text: str, borders: set[int], begun: str, opened: bool
) -> None:
    tags = Tags(opened=opened)
    assert parsed(cut(text, borders), begun, tags) == parsed([text], begun, tags)
    assert parsed(list(text), begun, tags) == parsed([text], begun, tags)


@given(TEXTS)
def test_nothing_but_tags_is_lost(text: str) -> None:
    told = "".join(part for kind, part in parsed(list(text)) if kind != "unopened")
    assert told == text.replace("<think>", "\0").replace("</think>", "\0").replace("\0", "")


@given(TEXTS, BORDERS)
async def test_any_cut_of_the_bytes_gives_the_same_parse(text: str, borders: set[int]) -> None:
    """Cut within characters, within tags and within events, as a network does."""
    events = [
        json.dumps({"choices": [{"index": 0, "text": part}]}, ensure_ascii=False) for part in ["", *text]
    ]
    body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode()
    places = [0, *sorted(border * 7 % (len(body) + 1) for border in borders), len(body)]

    async def blocks() -> AsyncIterator[bytes]:
        for start, end in pairwise(places):
            yield body[start:end]

    parts = [part.text async for chunk in chunks(blocks(), lambda: None) for part in chunk.choices]
    assert parsed(parts) == parsed([text])


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("<think>a</think>b", [("thought", "a"), ("text", "b")]),
        ("b", [("text", "b")]),
        ("<think>never closed", [("thought", "never closed")]),
        ("a</think>b", [("text", "a"), ("unopened", True), ("text", "b")]),
        ("<think>a<think>b</think>c", [("thought", "ab"), ("text", "c")]),
        (
            "<think>a</think>b<think>c</think>d",
            [("thought", "a"), ("text", "b"), ("thought", "c"), ("text", "d")],
        ),
        ("<think>a</thin", [("thought", "a</thin")]),
        ("1 < 2 <thinner>", [("text", "1 < 2 <thinner>")]),
    ],
)
def test_what_happens_to_tags_in_odd_places(text: str, runs: Runs) -> None:
    assert parsed(list(text)) == runs


def test_a_model_may_be_in_mid_thought_by_its_prompt_or_its_template() -> None:
    for begun, tags in (("Q<think>\n", THINK), ("", Tags(opened=True)), ("<think>x</think>y<think>", THINK)):
        assert parsed(["a</think>b"], begun, tags) == [("thought", "a"), ("text", "b")]


def test_what_a_prompt_quotes_says_only_where_it_ends() -> None:
    assert parsed(["b"], "<think>an example</think> and the question") == [("text", "b")]


def test_a_server_that_tells_thoughts_apart_itself_is_believed() -> None:
    parser = ThinkParser("<think>begun")
    splits = [*parser.feed("", "more"), *parser.feed("", " thoughts"), *parser.feed("4"), *parser.end()]
    assert merged(splits) == [("thought", "more thoughts"), ("text", "4")]


def test_other_tags_can_be_had() -> None:
    tags = Tags("[THINK]", "[/THINK]")
    assert parsed(list("[THINK]a[/THINK]b<think>"), "", tags) == [("thought", "a"), ("text", "b<think>")]
