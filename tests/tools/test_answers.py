"""Normal forms of answers, and what programs make of several."""

import json
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from surefoot import BadInput, NotAnAnswer
from surefoot.tools.answers import Combine, Kind, combined, normal, read_formula
from surefoot.tools.answers.normal_forms import MOST_DIGITS, as_number, written

SAME: list[tuple[Kind, list[str]]] = [
    ("number", ["1200.5", "1,200.50", " 12005e-1 ", "2401/2", "+1200.5"]),
    ("number", ["-3", "−3", "-3.0", "-6/2", "-.3e1"]),
    ("number", ["0", "-0", "0.0", "0/7"]),
    ("number", ["1/3", "2 / 6"]),
    ("list", ["[1, 2.0]", "[1.0,2]", "[\n1,2 ]"]),
    ("set", ["[2, 1]", "[1, 2, 1]", "[1.0, 2]"]),
    ("json", ['{"a": 1, "b": [2]}', '{"b":[2.0],"a":1}']),
    ("date", ["2026-11-30", "2026/11/30", "30 November 2026", "Nov 30, 2026", "30th Nov. 2026", "November 30 2026"]),
    ("quantity", ["5 km", "5.0  km", "5 km."]),
    ("quantity", ["3.0 km", "3000 m", "3 Kilometers.", "300,000 cm", "3e6 mm", "3 kilometres"]),
    ("quantity", ["1.5 h", "90 minutes", "90 min", "5400 s", "5.4e6 ms"]),
    ("quantity", ["36 km/h", "10 m/s"]),
    ("quantity", ["2 ha", "20,000 m²", "20000 m^2", "20000 m2", "0.02 km²"]),
    ("quantity", ["2 kWh", "7.2 MJ", "7200000 joules"]),
    ("quantity", ["5 µs", "5 \u03bcs", "5 us", "0.005 ms"]),
    ("quantity", ["7 kΩ", "7000 Ohm", "7000 \u2126"]),
    ("any", ["2 L", "2000 ml", "2 liters"]),
    ("quantity", ["3 widgets", "3.0 widgets."]),
    ("quantity", ["$5", "5 $", "$ 5.00"]),
    ("quantity", ["-5 km", "−5 km"]),
    ("code", ["def f(x):\n    return x+1", "def f(x): return (x + 1)  # one more", "```python\ndef f(x):\n  return x+1\n```"]),
    ("text", ["1,5 MW", "1,5 mW."]),
    ("text", ["Paris", " paris. ", '"Paris"', "“Paris.”", "PARIS"]),
    ("any", ["12", "12.0", "1.2e1", '"12"']),
    ("any", ["5 km", "5.0  km"]),
    ("json", ['["\u00e9"]', '["e\u0301"]']),
    ("quantity", ["5 \u212b", "5 \u00c5"]),
    ("any", ["[1, 2]", "[1,2.0]"]),
    ("any", ["The Seine.", "the  seine"]),
]  # fmt: skip
DIFFERENT: list[tuple[Kind, str, str]] = [
    ("number", "1", "1.0000000000000000000001"),
    ("any", "007", "7"),
    ("any", "5 MW", "5 mW"),
    *[("any", text, text.replace("MW", "mW")) for text in ("1,5 MW", "1 000 MW", "~5 MW", "½ MW", "(5 MW)", "**5 MW**", "about 5 MW", "05 MW", "1e4001 MW")],
    ("list", "[1, 2]", "[2, 1]"),
    ("list", '["1"]', "[1]"),
    ("json", '{"a": null}', "{}"),
    ("quantity", "5 km", "5001 m"),
    ("quantity", "5 m", "5 min"),
    ("quantity", "5 mW", "5 MW"),
    ("quantity", "5 MB", "5000 kB"),
    ("quantity", "1 K", "1 k"),
    ("quantity", "5 °C", "278.15 K"),
    ("code", "x = 1", "x = 2"),
    ("text", "Paris", "Paris, France"),
    ("any", "[1, 2", "[1, 2]"),
]  # fmt: skip
REFUSED: list[tuple[Kind, str]] = [
    ("number", ""), ("number", "0,123"), ("date", "3 Marble 2026"), ("list", "[" + "1e-3999," * 100 + "1]"), ("number", "twelve"), ("number", "1,20"), ("number", "1/0"), ("number", "."), ("number", "1e9999"), ("number", "nan"),
    ("number", "9" * 5000), ("number", "1 2"), ("number", "٣"), ("list", "1, 2"), ("list", "{}"), ("list", "[1"), ("list", "[NaN]"),
    ("list", "[" * 100_000), ("set", "{1, 2}"), ("json", "{'a': 1}"), ("date", "03/04/2026"), ("date", "2026-13-01"), ("date", "30 Foo 2026"),
    ("date", "2026-02-30"), ("quantity", "km"), ("quantity", "5"), ("quantity", "1e5"), ("code", "def"), ("code", "x" * 200_000), ("code", "(" * 5000),
    ("text", "a" + "\u0301\u0316" * 20), ("code", "a" + "\u0301\u0316" * 20), ("text", ""), ("text", " . "), ("any", ""), ("text", "x" * 1_000_001),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "said"), SAME, ids=str)
def test_what_means_the_same_is_one_ballot(kind: Kind, said: list[str]) -> None:
    forms = {normal(each, kind) for each in said}
    assert len(forms) == 1
    assert normal(forms.pop(), kind) in {normal(said[0], kind)}


@pytest.mark.parametrize(("kind", "one", "other"), DIFFERENT)
def test_what_does_not_is_not(kind: Kind, one: str, other: str) -> None:
    assert normal(one, kind) != normal(other, kind)


@pytest.mark.parametrize(("kind", "text"), REFUSED, ids=lambda value: str(value)[:20])
def test_what_is_not_of_its_kind_is_no_answer(kind: Kind, text: str) -> None:
    with pytest.raises(NotAnAnswer):
        normal(text, kind)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BadInput, match="an answer is one of any, text, number"):
        normal("x", "prose")  # type: ignore[arg-type]


@given(st.fractions())
def test_numbers_are_written_exactly(number: Fraction) -> None:
    assert as_number(written(number)) == number
    assert written(as_number(written(number))) == written(number)


@given(st.dates())
def test_dates_are_read_as_they_are_written(day: date) -> None:
    assert normal(day.isoformat(), "date") == day.isoformat()
    assert normal(f"{day.day} {day:%B} {day.year:04}", "date") == day.isoformat()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(json_values)
@example({"\uf900": ["e\u0301"]})
def test_json_has_one_form(value: object) -> None:
    """Escaped or not, in any order of keys: letters that Unicode holds for the same are the same."""
    form = normal(json.dumps(value), "json")
    assert json.loads(form) == json.loads(unicodedata.normalize("NFC", json.dumps(value, ensure_ascii=False)))
    assert normal(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True), "json") == form


@pytest.mark.parametrize(
    "of",
    [
        lambda size: ("any", "[" * size),
        lambda size: ("any", "1," * (size // 2)),
        lambda size: ("list", "[" + "1.50," * (size // 5) + "2]"),
        lambda size: ("list", "[" + "1e-3999," * (size // 8) + "2]"),
        lambda size: ("text", "\u2009 " * (size // 2) + "x"),
        lambda size: ("quantity", "1" * size),
        lambda size: ("quantity", "5 " + "Ms" * (size // 2)),
        lambda size: ("code", "`" * size),
        lambda size: ("date", "1 " + "a" * size),
        lambda size: ("text", "e\u0301\u0316" * (size // 3)),
        lambda size: ("text", "\u0301\u0316" * (size // 2)),
    ],
)
def test_reading_takes_time_linear_in_the_text(
    of: Callable[[int], tuple[Kind, str]], slope: Callable[..., float]
) -> None:
    def read(given: tuple[Kind, str]) -> None:
        kind, text = given
        with suppress(NotAnAnswer):
            normal(text, kind)

    assert slope(read, of, [8_192, 32_768, 131_072, 524_288]) <= 1.2


@pytest.mark.parametrize(
    ("combine", "formula", "answers", "whole"),
    [
        ("formula", "{1} * 100 + {2}", ["12", "34"], "1234"),
        ("formula", "({1} - {2}) / 3", ["1", "2"], "-1/3"),
        ("formula", "-{1} ** 2 + {2} // 2 % 5", ["3", "7"], "-6"),
        ("formula", "{1} * 0.5 + {2}", ["1,000", "1e2"], "600"),
        ("formula", "{1} ** {2}", ["10", "20"], "1" + "0" * 20),
        ("formula", "{1} / {2}", ["1", "0"], None),
        ("formula", "{1} + {2}", ["1", "two"], None),
        ("formula", "{1} ** {2}", ["9", "9999999"], None),
        ("formula", "{1} ** {2}", ["0", "-1"], None),
        ("formula", "{1} ** {2}", ["4", "1/2"], None),
        ("merge", "", ["[1, 4]", "[2, 3, 9]"], "[1, 2, 3, 4, 9]"),
        ("merge", "", ["[]", "[2.5]"], "[2.5]"),
        ("merge", "", ["[4, 1]", "[2]"], None),
        ("merge", "", ['["a"]', "[2]"], None),
        ("concatenate", "", ["[1]", "[2, 3]"], "[1, 2, 3]"),
        ("concatenate", "", ["Un.", "Deux."], "Un.\nDeux."),
        ("concatenate", "", ["[1]", "two"], "[1]\ntwo"),
        ("ask", "", ["1", "2"], None),
    ],
)
def test_a_program_combines_what_it_can(
    combine: Combine, formula: str, answers: list[str], whole: str | None
) -> None:
    assert combined(combine, formula, answers) == whole


@pytest.mark.parametrize(
    "formula",
    ["", "{1}", "{1} + {3}", "{1} + {2} + {3}", "{1}{2}", "{1} + {2} +", "abs({1}) + {2}", "{1} if {2} else 0", "{1} < {2}", "{1}, {2}",
     "{1} + {2} + x", "__import__('os')", "{1} * 9 ** 9 ** 9 + {2}", "(" * 400 + "{1} + {2}" + ")" * 40, "{1} + {2}" + " " * 600, "{1} & {2}",
     "-" * 400 + "{1} + {2}", "-" * 400 + "{1} + {2}" + "*"],
)  # fmt: skip
def test_what_is_no_arithmetic_over_all_parts_is_refused(formula: str) -> None:
    with pytest.raises(NotAnAnswer):
        read_formula(formula, 2)


@pytest.mark.parametrize(
    "formula", ["{1} / ({1} - {2})", "-" * 30 + "{1} + {2}", "(" * 60 + "{1} + {2}" + ")" * 60]
)
def test_what_may_be_computed_of_other_numbers_is_a_formula(formula: str) -> None:
    assert read_formula(formula, 2)


def test_a_formula_has_one_form() -> None:
    forms = {
        read_formula(formula, 2)
        for formula in ("{1}*10+{2}", " ({1} * 10.0) + {2}", "{1} * 1e1 + {2}".replace("1e1", "10"))
    }
    assert forms == {"{1} * 10 + {2}"}
    assert read_formula(forms.pop(), 2) == "{1} * 10 + {2}"


def test_formulas_are_exact() -> None:
    assert (
        combined("formula", "{1} * 0.12345678901234567890123 + {2}", ["1", "0"])
        == "0.12345678901234567890123"
    )


def test_numbers_stay_within_what_python_reads() -> None:
    assert combined("formula", "{1} * {2}", ["9" * (MOST_DIGITS - 10), "7"]) is not None
    assert combined("formula", "{1} * {2}", ["9" * (MOST_DIGITS - 10), "9" * 500]) is None
