"""Which answers are one ballot, which are none, and of which there is no vote."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.models.elected_answers.ballots import Ballot, Ballots, Prose, answer_form, said_in, seen
from surefoot.models.offers import Call, Offer, ToolSchema, write_calls
from surefoot.voting import NotAnAnswer

WEATHER = ToolSchema(
    "weather",
    "",
    '{"additionalProperties":false,"properties":{"days":{"type":"number"},"town":{"type":"string"}},"required":["town"],"type":"object"}',
)
PERSON = '{"properties":{"age":{"type":"integer"},"name":{"type":"string"}},"required":["name","age"],"type":"object"}'


def call(arguments: str, name: str = "weather", prose: str = "") -> str:
    return write_calls(prose, [Call(name, arguments)])


def test_calls_are_compared_by_the_values_of_their_arguments() -> None:
    ballots = Ballots("auto", Offer((WEATHER,)))
    one = ballots.read(call('{"town": "Paris", "days": 1}', prose="I look."))
    assert one == ballots.read(call('{"days": 1.0, "town": "Paris"}'))
    assert one.kind == "calls"
    assert one != ballots.read(call('{"town": "Rome", "days": 1}'))
    assert one != ballots.read(write_calls("", [Call("weather", '{"town": "Paris", "days": 1}')] * 2))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (call("{}", "forecast"), "is no tool"),
        (call('{"days": 1}'), "town"),
        (call('{"town": 3}'), "string"),
        (call('{"town": "Paris", "more": 1}'), "more"),
        (call("Paris"), "JSON"),
    ],
)
def test_a_call_that_nobody_can_make_is_no_ballot(text: str, why: str) -> None:
    with pytest.raises(NotAnAnswer, match=why):
        Ballots("auto", Offer((WEATHER,))).read(text)


def test_an_answer_in_place_of_a_call_is_a_vote_on_that_alone() -> None:
    ballots = Ballots("auto", Offer((WEATHER,)))
    assert ballots.read("It is sunny.") == ballots.read("The sun shines, as ever.") == Ballot("no call", "")
    with pytest.raises(NotAnAnswer, match="one must be made"):
        Ballots("auto", Offer((WEATHER,), "required")).read("It is sunny.")
    with pytest.raises(NotAnAnswer, match="none may be made"):
        Ballots("auto", Offer((WEATHER,), "none")).read(call('{"town": "Paris"}'))
    numbers = Ballots("number", Offer((WEATHER,)))
    assert numbers.read("42") == numbers.read("42.0") != numbers.read("43")


def test_json_is_compared_by_its_value_and_has_to_fit_its_schema() -> None:
    ballots = Ballots("auto", form=answer_form(PERSON))
    assert ballots.read('{"name": "Ada", "age": 36}') == ballots.read('{ "age":36, "name":"Ada" }')
    for text in (
        '{"name": "Ada"}',
        '{"name": "Ada", "age": "36"}',
        "Ada",
        "[1]",
        '```json\n{"name": "Ada", "age": 36}\n```',
    ):
        with pytest.raises(NotAnAnswer):
            ballots.read(text)
    with pytest.raises(NotAnAnswer, match="no object"):
        Ballots("auto", form=answer_form(None)).read("3")


def test_a_schema_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="schema"):
        answer_form('{"type": "nonsense"}')
    with pytest.raises(BadInput, match="100,000 characters"):
        answer_form(f'{{"title": "{"x" * 100_000}"}}')


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("42", "any"),
        ("1,200.50", "any"),
        ("3 km", "any"),
        ("30 November 2026", "any"),
        ("Paris.", "any"),
        ("New York City", "any"),
        ("First 6, then 7.\n#### 42", "any"),
        ("It is six times seven.\n**ANSWER: B**", "any"),
        ("I multiply.\n**answer = 42**", "any"),
        ('{"a": 1}', "json"),
        ("[1, 2]", "json"),
        ("```python\nprint(1)\n```", "code"),
        ("```rust\nfn main() {}\n```", None),
        ("{not json}", None),
        ("Hello! How can I help?", None),
        ("The capital of France is Paris.", None),
        ("A line.\nAnd another.", None),
    ],
)
def test_the_first_answer_tells_how_answers_are_compared(text: str, kind: str | None) -> None:
    assert seen(text) == kind
    if kind is None:
        with pytest.raises(Prose):
            Ballots("auto").read(text)


def test_once_told_it_stays_so() -> None:
    ballots = Ballots("auto")
    assert ballots.open
    first = ballots.read("It is six times seven.\n#### 42")
    assert not ballots.open
    assert first == ballots.read("42.0")
    assert first != ballots.read("I do not know, and would rather talk about the weather.")


def test_code_is_compared_by_its_syntax_tree() -> None:
    ballots = Ballots("code")
    one = ballots.read("```python\ndef f(x):\n    return x+1  # one more\n```")
    assert one == ballots.read("def f( x ):\n\n    return x + 1")
    with pytest.raises(NotAnAnswer):
        ballots.read("def f(x")


def test_what_cannot_be_sent_is_no_ballot() -> None:
    with pytest.raises(NotAnAnswer, match="surrogate"):
        Ballots("text").read("\ud800")
    with pytest.raises(NotAnAnswer, match="empty"):
        Ballots("text").read(" \n")


@given(st.text(max_size=300))
def test_whatever_a_model_says_is_a_ballot_a_red_flag_or_prose(text: str) -> None:
    for ballots in (Ballots("auto"), Ballots("any"), Ballots("none"), Ballots("auto", Offer((WEATHER,)))):
        try:
            found = ballots.read(text)
        except (NotAnAnswer, Prose):
            continue
        assert found == ballots.read(text)
        assert hash(found) == hash(ballots.read(text))


@pytest.mark.parametrize("piece", ["#### ", "answer = ", "```\n"])
def test_reading_takes_time_in_proportion(slope: Callable[..., float], piece: str) -> None:
    assert slope(lambda text: (said_in(text), seen(text)), lambda size: piece * (size // len(piece))) < 1.3
