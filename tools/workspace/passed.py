"""How what a model wrote gets to a fixed script: as octal digits, which no shell reads as anything but text."""

from surefoot.tools.failed import ToolFailed

LONGEST_WORD = 4_000
"""Bytes of a path or a pattern: the script stays far below what a command line holds."""


def word(text: str) -> str:
    """Return a shell expression, for the right side of an assignment, whose value is `text`; only fixed signs and digits are in it."""
    data = text.encode()
    if len(data) > LONGEST_WORD or b"\0" in data:
        raise ToolFailed(
            f"a path or a pattern has at most {LONGEST_WORD:,} bytes, none of them 0; this one has {len(data):,}"
        )
    # What is substituted loses the line ends at its end: a letter stands guard there until it is cut off.
    return "$(printf '" + "".join(f"\\{byte:03o}" for byte in data) + "x')"


def inside(path: str) -> str:
    """Return a script that sets `here` to a path of the workspace, "." or "./..."; it ends with a sentence for one that leads out."""
    return f"""root=$(pwd -P); [ "$root" = / ] && root=
path={word(path)}; path=${{path%x}}
case $path in /*) ;; *) path=./$path ;; esac
here=$(readlink -f -- "$path" && echo x); here=${{here%?x}}
[ -e "$here" ] || {{ echo "there is no such file or folder"; exit 8; }}
case $here/ in "$root"/*) ;; *) echo "it leads out of the workspace"; exit 9 ;; esac
here=.${{here#"$root"}}"""
