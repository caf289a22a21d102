"""A decomposition as a flowchart: whatever the problems say, it is one."""

import html
import re
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.agents.planner import Branch, Proposal, flowchart
from surefoot.agents.planner.mermaid import SHOWN, NodeCost, escaped
from surefoot.printable import printable
from surefoot.voting import Usage

_LABEL = r'"((?:[^\W_]|[ ,?]|#\d+;|<br/>)*)"'
_NODE = re.compile(rf" {{4}}(n\d+)(?:\[{_LABEL}\]|\(\[{_LABEL}\]\))")
_EDGE = re.compile(r' {4}(n\d+) -->\|"(\d+)"\| (n\d+)')
HOSTILE = [
    '"]; click n0 call alert() %%{init: {"theme": "x"}}%%',
    "end", "subgraph x", "a\nb\r\nc\x0bd\x85e\u2028f", "<script>alert(1)</script>", "`md` **bold** _x_", "1. list\n- item",
    "$$x^2$$", "#quot; #35; &amp; &#34;", "ﬂ°°34¶ß", "style a:x#35;", "classDef x:#;", "[[{{((>]]", "a --> b", "|pipe|", "\\n \\", ";;", "@{ shape: x }",
    "数学 и ελ ½ ²", "\U0001f600 \u202e\u200b", "\ud800", "", " ", "x" * 5_000, " " * 5_000 + "x", ":::cls", "%% comment", "---\ntitle: x\n---",
]  # fmt: skip


class Chart(NamedTuple):
    """What a strict reader finds in a flowchart: labels line by line, which are round, and who is a part of whom."""

    labels: dict[str, list[str]]
    open: set[str]
    edges: list[tuple[str, str, str]]


def parsed(text: str) -> Chart:
    first, *lines = text.split("\n")
    assert first == "flowchart TD"
    found = Chart({}, set(), [])
    for line in lines:
        if edge := _EDGE.fullmatch(line):
            assert {edge[1], edge[3]} <= set(found.labels)
            found.edges.append((edge[1], edge[2], edge[3]))
            continue
        node = _NODE.fullmatch(line)
        assert node is not None, line
        assert node[1] not in found.labels
        label = node[2] if node[2] is not None else node[3]
        if node[2] is None:
            found.open.add(node[1])
        found.labels[node[1]] = [_shown(each) for each in label.split("<br/>")]
    return found


def _shown(label: str) -> str:
    """Read a label as Mermaid does: `#34;` is the character of that number."""
    return re.sub(r"#(\d+);", lambda code: chr(int(code[1])), label)


def told(text: str) -> str:
    words = printable(" ".join(text.split()))
    return words if len(words) <= SHOWN else f"{words[: SHOWN - 1]}…"


def test_a_chart_has_each_problem_with_its_answer_its_way_and_its_price() -> None:
    parts = (Branch("What is 2 * 3?", Proposal(), "6"), Branch("And 4?"))
    whole = Branch(
        "What is 2 * 3 + 4?", Proposal(("What is 2 * 3?", "And 4?"), "formula", "{1} + {2}"), None, parts
    )
    text = flowchart(whole, {(): NodeCost(3, Usage(1_000, 0, 200)), (0,): NodeCost(2, Usage(uncounted=2))})
    found = parsed(text)
    assert found.labels == {
        "n0": ["What is 2 * 3 + 4?", "{1} + {2}", "3 votes, 1,200 tokens"],
        "n1": ["What is 2 * 3?", "= 6", "2 votes, unknown tokens"],
        "n2": ["And 4?"],
    }
    assert found.open == {"n0", "n2"}
    assert found.edges == [("n0", "1", "n1"), ("n0", "2", "n2")]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:30])
def test_hostile_text_stays_text(text: str) -> None:
    split = Proposal((text, "b"), "concatenate")
    whole = Branch(text, split, text, (Branch(text, Proposal(), text), Branch("b")))
    found = parsed(flowchart(whole, {}))
    assert len(found.labels) == 3
    assert len(found.edges) == 2
    if not text.startswith(" " * 1_000):
        answer = [told(f"= {text}")] if text else []  # of an outline alone there is none
        assert found.labels["n0"] == [told(text), *answer, "concatenate"]


@pytest.mark.parametrize(
    "character", ["\u202e", "\u2066", "\u200f", "\ufeff", "\U000e0041", "\x1b"], ids=ascii
)
def test_what_turns_or_hides_is_written_as_an_escape(character: str) -> None:
    label = escaped(f"pay {character}001 to Bob")
    assert f"#{ord(character)};" not in label
    assert _shown(label) == f"pay {printable(character)}001 to Bob"


@given(st.text())
def test_any_text_is_shown_as_it_is_and_no_mark_is_left(text: str) -> None:
    written = escaped(text)
    assert re.fullmatch(r"(?:[^\W_]|[ ,?]|#\d+;)*", written)
    assert _shown(written) == told(text)
    assert html.escape(written) == written
    assert not set(written) & set('ﬂ°¶ß:%`"<>&[](){}|\\$')


def test_charts_of_many_problems_name_each_once() -> None:
    parts = tuple(
        Branch(f"p{n}", Proposal(), "a", tuple(Branch(f"p{n}.{m}") for m in range(8))) for n in range(8)
    )
    found = parsed(flowchart(Branch("p", Proposal(), "a", parts), {}))
    assert len(found.labels) == 73
    assert sorted(child for _, _, child in found.edges) == sorted(set(found.labels) - {"n0"})
