"""When two calls are equal: checked against bash itself, on both forms of many commands."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from surefoot.tools.workspace import normal_command, normal_path


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("a.py", "a.py"),
        ("./a//b/../c.py", "a/c.py"),
        ("/w/src/a.py", "src/a.py"),
        ("//w/./src/", "src"),
        ("///w", "."),
        ("/w/..", "/"),
        ("/wide/a", "/wide/a"),
        ("../w/a", "../w/a"),
        ("/", "/"),
        ("", ""),
        (" a ", " a "),
        (".", "."),
    ],
)
def test_a_path_in_its_normal_form(path: str, normal: str) -> None:
    assert normal_path(path, "/w") == normal
    assert normal_path(normal, "/w") == normal


def test_a_path_without_a_workspace_stays_absolute() -> None:
    assert normal_path("/w/./a") == "/w/a"
    assert normal_path("/a/b", "/") == "a/b"


@pytest.mark.parametrize(
    ("command", "normal"),
    [
        ("  ls   -l\t src ", "ls -l src"),
        ("echo 'a  b'   \"c  d\"", "echo 'a  b' \"c  d\""),
        ("a  \n\n   b  \n", "a\n\nb"),
        ("echo a\\  b", "echo a\\  b"),
        ("echo a\\   b", "echo a\\  b"),
        ("echo a \\\n   b", "echo a \\\n b"),
        ("echo a\\\n   b", "echo a\\\n b"),
        ("git  commit -m 'x'  &&  pytest   -q", "git commit -m 'x' && pytest -q"),
        ("echo  $(ls   -l  'a  b')", "echo $(ls -l 'a  b')"),
        ("sed -n  '1,5p'  a.py", "sed -n '1,5p' a.py"),
        ("[ -f  x ]  ||  exit", "[ -f x ] || exit"),
        ('grep  "a#b"', 'grep "a#b"'),
        (" \t ", " \t "),
        ("", ""),
    ],
)
def test_idle_blanks_go(command: str, normal: str) -> None:
    assert normal_command(command) == normal


@pytest.mark.parametrize(
    "command",
    [
        "cat  <<E\na  b\nE",
        "cat  <<<  'a  b'",
        'echo  "$(echo "a  b")"',
        'echo  "`echo "a  b"`"',
        "echo  `echo 'a  b'`",
        "echo  a # it's  fine\necho 'b  c'",
        "echo  ${x:-a  b}",
        'echo  "${x:-"a  b"}"',
        "echo  $'a\\'  b'",
        "[[ 'a  b' =~ (a  b) ]]",
        "[[ 'a  b' == @(a  b|c) ]]",
        "declare -A m; m[a  b]=1; declare -p m",
        "declare -A m=( [a  b]=1 ); declare -p m",
        "echo  'open",
        'echo  "open',
        "echo  a\\",
        "echo  $((1  <<  2))",
    ],
)
def test_when_in_doubt_a_command_stays_as_it_is(command: str) -> None:
    assert normal_command(command) == command


PIECES = [" ", "  ", "\t", "\n", "\\", "'", '"', "$", "x", "'a  b'", '"a  b"', '"$x  y"', '"$(echo "a  b")"', "$(echo a  b)",
          "${x:-a  b}", "a\\  b", "#", "`", "echo ", "<<E\n", "E\n", ";", "&&", "|", "cat", "(", ")", "{ ", "; }", "[[ ", " ]]",
          "=~", "==", "[", "]", "=(", "$'a  b'", "\\\n", "x=1", "*", "?", "@(", "a  b", "!", "case x in  x) echo  y;;  esac",
          "for i in a  b; do  echo \"$i  .\"; done", "f() { echo  'q  r';  }; f", "printf '<%s>'  a  'b  c'", "x='a  b'; echo $x \"$x\"",
          "$((1 + 2))", "if true;  then  echo  z; fi", "<(echo  a)", "2>&1", ">  out", "é", "\r", "%", "-n ", "[a  b]"]  # fmt: skip


def ran(command: str, folder: Path) -> tuple[int, bytes, bool]:
    """Return exit code, output and whether anything was complained of: the words of a syntax error quote the command.

    A restricted shell reads as any other does, but writes to no file: these commands are made by chance.
    """
    done = subprocess.run(
        ["bash", "--restricted", "-c", "--", command],
        cwd=folder,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    return done.returncode, done.stdout, bool(done.stderr)


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
@settings(max_examples=400)
@example("echo a\\\n\n  b")
@example("echo 'a  b' \\")
@example("echo !(a  b)")
@example(" -n ")
@example("x=a; echo $x[a  b]")
def test_both_forms_of_a_command_do_the_same(tmp_path_factory: pytest.TempPathFactory, command: str) -> None:
    normal = normal_command(command)
    assert normal_command(normal) == normal
    if normal != command:
        folder = tmp_path_factory.getbasetemp() / "empty"
        folder.mkdir(exist_ok=True)
        assert ran(command, folder) == ran(normal, folder)


@pytest.mark.parametrize(
    "of",
    [
        lambda size: "a  " * (size // 3),
        lambda size: "'" + "a  " * (size // 3),
        lambda size: '"' * (size + 1),
        lambda size: '"$(' * (size // 3),
        lambda size: "\\" * (size + 1),
        lambda size: " " * size,
    ],
)
def test_reading_a_command_takes_time_linear_in_its_length(
    of: Callable[[int], str], slope: Callable[..., float]
) -> None:
    assert slope(normal_command, of, [16_384, 65_536, 262_144, 1_048_576]) <= 1.2
