"""What a model wrote gets to a script as it is, and no shell reads it."""

import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.tools import ToolFailed
from surefoot.tools.workspace.passed import word


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
@settings(max_examples=60)
@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_a_word_arrives_as_it_is(shell: str, text: str) -> None:
    assert re.fullmatch(r"\$\(printf '(\\[0-7]{3})*x'\)", word(text))
    script = f'text={word(text)}; printf %s "${{text%x}}"'
    done = subprocess.run([shell, "-c", script], capture_output=True, timeout=60, check=True)
    assert done.stdout == text.encode()


@pytest.mark.parametrize("text", ["%s%n", "\n\n", "x", "';rm -rf .;'", "$(false)`false`", "\\101", "-n"])
@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_signs_of_the_shell_are_text(shell: str, text: str) -> None:
    script = f'text={word(text)}; printf %s "${{text%x}}"'
    done = subprocess.run([shell, "-c", script], capture_output=True, timeout=60, check=True)
    assert done.stdout == text.encode()


@pytest.mark.parametrize("text", ["a\0b", "ü" * 2_001])
def test_what_no_word_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ToolFailed, match="at most 4,000 bytes, none of them 0"):
        word(text)
