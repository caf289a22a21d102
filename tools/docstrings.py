"""What a docstring says of a function and, in Google's style, of each argument."""

import re

_SECTION = re.compile(r"(?:Args|Arguments|Parameters):\s*")
_ARGUMENT = re.compile(r"( +)\*{0,2}(\w+)\s*(?:\([^()]*\))?\s*:\s*(\S.*)")


def described(docstring: str) -> tuple[str, dict[str, str]]:
    """Return a cleaned docstring without its section of arguments, and what that says, by argument."""
    said: list[str] = []
    about: dict[str, str] = {}
    within, current, indent = False, "", 0
    for line in docstring.split("\n"):
        if _SECTION.fullmatch(line):
            within, indent = True, 0
        elif within and line[:1].strip():
            within = False
            said.append(line)
        elif not within:
            said.append(line)
        elif (found := _ARGUMENT.fullmatch(line)) and len(found[1]) == (indent or len(found[1])):
            indent, current = len(found[1]), found[2]
            about[current] = found[3].strip()
        elif current and line.strip():
            about[current] += " " + line.strip()
    return re.sub("\n{3,}", "\n\n", "\n".join(said)).strip(), about
