"""When two calls are equal: paths and commands in one form, by their text alone."""

import posixpath
import re

_TOKEN = re.compile(
    r"""
      (?P<blanks> [ \t]+ )
    | (?P<newline> \n )
    | (?P<single> '[^']*' )
    | (?P<double> "(?: [^"\\`$] | \\. | \$(?![({]) )*" )
    | (?P<escaped> \\. )
    | (?P<plain> [^ \t\n'"\\]+ )
    """,
    re.DOTALL | re.VERBOSE,
)
_DOUBTFUL = re.compile(
    r"""
      <<            # a here-document, or a here-string
    | [`#]          # an older substitution, whose quotes nest in another way; a comment, whose quotes are none
    | \$[{'"\[]     # a default word; quotes with other escapes
    | =~            # a regular expression: blanks in its parentheses are a part of it
    | [?*+@!]\(     # an extended pattern: so are those here
    | =\(           # a list of array items, whose subscripts may hold blanks
    | \(\(          # arithmetic
    | [^ \t\n\[]\[  # a subscript
    | \0
    """,
    re.VERBOSE,
)


def normal_path(path: str, workspace: str = "") -> str:
    """Return a path without what changes nothing, relative to the workspace where it is in it; no file is looked at."""
    if not path:
        return path
    normal = posixpath.normpath(path)
    if not normal.startswith("/"):
        return normal
    normal, root = "/" + normal.lstrip("/"), posixpath.normpath(workspace) if workspace else ""
    if root.startswith("/") and (normal == root or normal.startswith(root.rstrip("/") + "/")):
        return posixpath.relpath(normal, root)
    return normal


def normal_command(command: str) -> str:
    """Return a shell command without idle blanks: those at the ends of lines, and all but one between words.

    Quoted text stays as it is.  A command with anything in it where blanks may mean something, or that this little reader
    cannot tell apart from that, stays as it is as a whole.  Takes time linear in the length.
    """
    kept: list[str] = []
    outside: list[str] = []
    at, blanks, newline = 0, False, True
    while at < len(command):
        found = _TOKEN.match(command, at)
        if found is None:
            return command
        at, kind, text = found.end(), found.lastgroup, found[0]
        if kind == "blanks":
            blanks = True
            outside.append(" ")
            continue
        if blanks and not newline and kind != "newline":
            kept.append(" ")
        kept.append(text)
        blanks, newline = False, kind == "newline"
        outside.append({"single": "''", "double": '""', "escaped": "_"}.get(kind or "", text))
    if _DOUBTFUL.search("".join(outside)):
        return command
    while kept and kept[-1] == "\n":
        kept.pop()
    return "".join(kept) or command
