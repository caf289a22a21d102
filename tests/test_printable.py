"""What may be shown of outside text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.printable import printable


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]8;;http://a\x07link", r"\x1b]8;;http://a\x07link"),
        ("\x9b2J", r"\x9b2J"),
        ("one\r\ntwo\x00", r"one\x0d\x0atwo\x00"),
        ("abc\u202edcba", r"abc\u202edcba"),
        ("\u2066a\u2069", r"\u2066a\u2069"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("plain: ä 漢 👩‍🔬 [bold]", "plain: ä 漢 👩‍🔬 [bold]"),
    ],
)
def test_what_steers_a_terminal_is_shown_as_an_escape(said: str, shown: str) -> None:
    assert printable(said) == shown


def test_line_breaks_stay_where_they_are_wanted() -> None:
    assert printable("a\n\tb\x1bc", keep="\n\t") == "a\n\tb\\x1bc"


@given(st.text(alphabet=st.characters(codec=None)))
def test_nothing_that_is_shown_is_a_control_character_or_cannot_be_written(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in shown)
    shown.encode()
    assert printable(shown) == shown
