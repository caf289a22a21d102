"""Search and its patterns: what Python's engine finds, `grep` finds, in linear time."""

import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.tools import ToolFailed, checked_call, search
from surefoot.tools.environments import Environment
from surefoot.tools.workspace.posix_patterns import extended


async def found(world: Environment, **arguments: str | bool) -> str:
    return (await search.call(search.arguments(**arguments), world)).text


@pytest.fixture
async def tree(world: Environment) -> Environment:
    await world.write("b/two.py", b"def two():\n    return 2  # TODO\n")
    await world.write("a.py", b"one = 1\nTODO = one\r\n")
    await world.write("a b/-e.txt", "über TODO\n".encode())
    await world.write(".git/config", b"TODO\n")
    await world.write("data.bin", b"TODO\0\xff\n")
    return world


async def test_lines_that_match_come_with_file_and_number_in_a_fixed_order(tree: Environment) -> None:
    assert await found(tree, pattern="TODO") == (
        "a b/-e.txt:1:über TODO\na.py:2:TODO = one\r\nb/two.py:2:    return 2  # TODO"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"pattern": "todo", "ignore_case": True, "path": "b"}, "b/two.py:2:    return 2  # TODO"),
        ({"pattern": r"^\s+return\s\d\b", "path": "."}, "b/two.py:2:    return 2  # TODO"),
        ({"pattern": "two()", "literal": True}, "b/two.py:1:def two():"),
        ({"pattern": "ÜBER", "ignore_case": True, "path": "a b"}, "a b/-e.txt:1:über TODO"),
        ({"pattern": "-e", "path": "a.py"}, "[no line matches]"),
        ({"pattern": "one", "path": "a.py"}, "a.py:1:one = 1\na.py:2:TODO = one\r"),
        ({"pattern": r"\$(touch x)%s'\"", "path": "."}, "[no line matches]"),
    ],
)
async def test_what_is_searched_and_how(
    arguments: dict[str, str | bool], text: str, tree: Environment
) -> None:
    assert await found(tree, **arguments) == text


async def test_the_workspace_may_be_named_by_its_absolute_path(tree: Environment) -> None:
    assert await found(tree, pattern="def", path=f"{tree.workspace}/b") == "b/two.py:1:def two():"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"pattern": ""}, "a pattern is one line that is not empty"),
        ({"pattern": "a\nb", "literal": True}, "a pattern is one line that is not empty"),
        ({"pattern": "a[b"}, r"a \[ that is not closed: '\[b'"),
        ({"pattern": "("}, "cannot be searched for '\\('"),
        ({"pattern": "(?<=a)b"}, r"no groups such as \(\?=...\)"),
        ({"pattern": r"(a)\1"}, r"search knows no '\\\\1'"),
        ({"pattern": "(((a{1,99}){1,99}){1,99})"}, "multiply to more than 1,000"),
        ({"pattern": "a{99999999999999}"}, "multiply to more than 1,000"),
        ({"pattern": r"[\D]"}, r"no '\\\\D' in a set"),
        ({"pattern": "a" * 4_001}, "at most 4,000 bytes"),
        (
            {"pattern": "a", "path": "nowhere"},
            "nowhere cannot be searched for 'a': there is no such file or folder",
        ),
        ({"pattern": "a", "path": "/etc"}, "it leads out of the workspace"),
        ({"pattern": "a", "path": "../.."}, "it leads out of the workspace"),
        ({"pattern": "a", "path": "out"}, "it leads out of the workspace"),
        ({"pattern": "a", "path": "x'; touch y; '"}, "there is no such file or folder"),
        ({"pattern": "a", "path": "a\0b"}, "none of them 0"),
    ],
)
async def test_what_cannot_be_searched_is_told(
    arguments: dict[str, str | bool], sentence: str, tree: Environment
) -> None:
    await tree.execute("ln -s / out")
    with pytest.raises(ToolFailed, match=sentence):
        await found(tree, **arguments)
    assert (await tree.execute("ls")).output.split("\n") == ["a b", "a.py", "b", "data.bin", "out", ""]


async def test_many_matches_and_long_lines_are_cut(world: Environment) -> None:
    await world.write("many", b"match " + b"x" * 100_000 + b"\n" + b"match\n" * 10_000)
    text = await found(world, pattern="match")
    assert len(text) < 20_000
    assert text.endswith("[there are more matches, which are left out]")


async def test_a_pattern_that_ruins_other_engines_does_no_harm(world: Environment) -> None:
    await world.write("long", b"a" * 20_000 + b"!\n")
    assert await found(world, pattern="^(a+)+(a|aa)*$") == "[no line matches]"


async def test_an_empty_workspace_has_no_matches(world: Environment) -> None:
    assert await found(world, pattern="x") == "[no line matches]"


ATOMS = ["a", "b", "x1", "é", r"\d", r"\w", r"\s", r"\.", r"\\", r"\-", r"\/", ".", "[ab]", "[^ab]", r"[\w.]", r"[^\s]", r"[\]a]",
         r"[a\-z]", "[]a]", "[a-]", "[-a]", r"[\^]", r"[a^]", r"[\[\]]", r"[\d-]", r"[\\]", "[0-9a-f]", r"\(", r"\[", r"\{", "-", '"', "'",
         r"\'", "%", r"\t", r"\=", "#", " ", "/", r"\bb\b"]  # fmt: skip
PATTERNS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        inner.map(lambda one: f"(?:{one})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "*?", "+?", "??", "{1,2}?"])).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
    ),
    max_leaves=5,
).flatmap(lambda one: st.sampled_from([one, f"^{one}", f"{one}$", f"^{one}$", rf"\A{one}\Z"]))
LINES = ["", "a", "b", "ab", "aa", "abab", "x1", "é", "1.2", "a b", "\\", "]", "[", "[]", "^", "-", "a-b", "a.b", "f(x)", "{", "\t", "a\tb",
         "'\"", "%s", "#", "/", "x11", "_", "b b", "=="]  # fmt: skip


@given(PATTERNS)
@settings(max_examples=300)
def test_grep_finds_the_lines_that_python_finds(pattern: str) -> None:
    expected = [line for line in LINES if re.search(pattern, line)]
    done = subprocess.run(
        ["grep", "-E", "-e", extended(pattern)],
        input="\n".join(LINES).encode() + b"\n",
        capture_output=True,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        timeout=60,
    )
    assert done.stderr == b""
    assert done.stdout.decode().split("\n")[:-1] == expected


@given(st.text(alphabet=r"ab[]()\{}*+?|^$.-:123 wdsn=!<>", max_size=12))
@settings(max_examples=300)
def test_any_pattern_is_made_or_refused(pattern: str) -> None:
    try:
        assert isinstance(extended(pattern), str)
    except ToolFailed as told:
        assert "\n" not in str(told)


def test_the_arguments_are_checked() -> None:
    with pytest.raises(ToolFailed, match="pattern is missing"):
        checked_call(search, "{}")
