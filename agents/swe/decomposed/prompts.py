"""What a model is asked in a decomposed run: what all stages have in common first, so that a server's prefix cache serves."""

from collections.abc import Sequence

from surefoot.agents.agent.context import cut
from surefoot.models.base import Message

from .reading import MOST_FILES, MOST_PLACES, THE_TEST
from .state import Place, ShownSource

INSTRUCTIONS = (
    "You resolve an issue of a repository in small steps: find the places, write a test that shows the issue, write a patch. Answer just "
    "the step that you are asked for, in just the form that is asked for."
)
FILES = f"""\
These are the files of the repository, with their sizes in bytes and what they define:

{{listing}}

Which files have to be changed to resolve the issue? Name 1 to {MOST_FILES}, tests not among them; a file that has to be made counts, too. Answer with \
one block, a path on each line:

```files
package/module.py
```"""
PLACES = f"""\
{{sources}}
Where in these files does the code have to be changed to resolve the issue? Name 1 to {MOST_PLACES} places, none that only helps to understand. A place is \
a function, a method or a class (the smallest that holds the change), or the file alone for what lies in none. Answer with one block, a place on each line:

```places
package/module.py::Class.method
package/module.py
```"""
TEST = f"""\
{{sources}}
{{places}}
Write a test that fails because of the issue and passes once it is resolved. It is a file of its own, for pytest, with one test function, `{THE_TEST}`, and \
whatever it imports; it may use no file that is not there. Check what the issue asks for and nothing else. Answer with one block:

```python
def {THE_TEST}():
    ...
```"""
PATCH = """\
{sources}
{places}
Write the change that resolves the issue: no test, and no more than is needed. Answer with search and replace blocks, each after the path of its file. \
The lines to search for are whole lines, exactly as they stand in the file, and stand there just once; leave them out to make a new file:

package/module.py
<<<<<<< SEARCH
    return a - b
=======
    return a + b
>>>>>>> REPLACE"""
AROUND = max(map(len, (FILES, PLACES, TEST, PATCH))) + 6_000
"""Characters of a question besides the issue and what files hold: its form, the names of files and places."""
NAMED = 2_000
"""Characters of the places that are named."""


def about(issue: str) -> tuple[Message, ...]:
    """Return what every stage begins with."""
    return Message("system", INSTRUCTIONS), Message("user", f"The issue:\n\n{issue.strip()}\n\n")


def asked(first: tuple[Message, ...], what: str) -> tuple[Message, ...]:
    """Return the messages of one stage."""
    return (*first[:-1], Message("user", first[-1].content + what))


def told(sources: Sequence[ShownSource]) -> str:
    """Return files as the model reads them."""
    return "".join(
        f"=== {source.path}\n{source.text.removesuffix(chr(10))}\n=== end of {source.path}\n\n"
        if source.there
        else f"=== {source.path} does not exist yet\n\n"
        for source in sources
    )


def named(places: Sequence[Place]) -> str:
    """Return the places in a sentence."""
    shown = ", ".join(f"{place.path}::{place.symbol}" if place.symbol else place.path for place in places)
    return f"The code that has to change was found to be: {cut(shown, NAMED)}.\n"
