"""What a decomposed run does in its workspace: every attempt starts from the clean base, so that any of them may be made again.

The base is what the workspace holds before the first attempt, set-up commands included.  It is a tree of git, in a folder of ours in the workspace's
`.git`, so that neither the workspace's own index nor its settings play a part.  Where a workspace was prepared anew that folder is gone: what
the workspace holds then is recorded again, and has to be the same.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

from surefoot.errors import SurefootError
from surefoot.tools.bounded_text import one_line
from surefoot.tools.environments.environment import Environment, Ran
from surefoot.tools.environments.patches import record, restore
from surefoot.tools.failed import ToolFailed

from .reading import TEST_NAME
from .sources import DEFINES
from .state import Edit

OWN = ".git/surefoot"
GIT_S = 300.0
"""Longest time of recording the base, and of putting it back."""
MOST_LISTED = 4_000_000
"""Bytes of the list of files, and of that of what they define."""
TREE = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
STATES = "^(PASSED|FAILED|ERROR|SKIPPED|XFAIL) "
MOST_STATES = 8_000_000
"""Bytes of the states of tests."""
# Byte code is told from its source by seconds and size: one patch's could pass for that of the next.
NO_BYTE_CODE = """\
export PYTHONDONTWRITEBYTECODE=1
git ls-files -z --cached --others --exclude-standard -- '*.py' | sed -z 's|[^/]*$|__pycache__|' | sort -zu | xargs -0r rm -rf --
"""


class WorkspaceLost(SurefootError):
    """A workspace is no git repository, or cannot be put back to what it was."""


class PatchFails(SurefootError):
    """A patch does not apply to the base, each piece in one place only."""


class Workspace:
    """The workspace of an environment, and the base that it is put back to."""

    def __init__(self, world: Environment) -> None:
        self._world = world
        self._own = f"{world.workspace.rstrip('/')}/{OWN}"

    @property
    def path(self) -> str:
        """Where commands see it."""
        return self._world.workspace

    async def record(self) -> str:
        """Record what the workspace holds as the base, and return its name; raises `WorkspaceLost`."""
        own, work = shlex.quote(self._own), self._world.workspace
        made = f"[ -d {shlex.quote(work)}/.git ] || {{ echo 'there is no .git in it'; exit 1; }}\nrm -rf {own}; mkdir {own}\n"
        # A copy, for what a candidate writes there must not hide what else it leaves.
        kept = f"cp .git/info/exclude {own}/info/exclude 2>/dev/null || :\n"
        await self._git(made + record(self._own, work) + kept)
        return await self._base()

    async def restore(self, base: str) -> None:
        """Put the workspace back to the base of this name; raises `WorkspaceLost`."""
        try:
            found = await self._base()
        except WorkspaceLost:
            found = await self.record()  # prepared anew: nothing has been tried in it yet
        if found != base:
            raise WorkspaceLost(
                f"the workspace holds {found[:12]}, not the base {base[:12]} that the run began with"
            )
        await self._git(restore(self._own, self._world.workspace))

    async def files(self) -> tuple[dict[str, int], dict[str, list[str]]]:
        """Return the base's files with their sizes, and what Python files define, as far as the lists go."""
        pattern = r"^[[:blank:]]*(async +def|def|class) +[[:alpha:]_]"
        await self._git(
            f"cd {shlex.quote(self._world.workspace)}\nown={shlex.quote(self._own)}\n"
            'mine() { git --git-dir="$own" --work-tree=. --no-pager "$@"; }\n'
            f'mine ls-tree -r -l -z "$(cat "$own/base")" | head -c {MOST_LISTED} > "$own/files"\n'
            f"mine grep -z --cached -IE {shlex.quote(pattern)} -- '*.py' | head -c {MOST_LISTED} > \"$own/defined\"\n"
        )
        listed = (await self._world.read(f"{OWN}/files")).decode(errors="replace").split("\0")[:-1]
        defined = (await self._world.read(f"{OWN}/defined")).decode(errors="replace").split("\n")[:-1]
        return _sizes(listed), _names(defined)

    async def read(self, path: str) -> str | None:
        """Return the text of a file, bytes that are no UTF-8 as surrogates; None if there is no such file."""
        try:
            return (await self._world.read(path)).decode(errors="surrogateescape")
        except ToolFailed:
            return None

    async def write(self, path: str, text: str) -> None:
        """Write a file; raises `ToolFailed`."""
        await self._world.write(path, text.encode(errors="surrogateescape"))

    async def remove(self, paths: Sequence[str]) -> None:
        """Remove files, if they are there."""
        await self._world.execute("rm -f -- " + " ".join(map(shlex.quote, paths)))

    async def apply(self, edits: Sequence[Edit]) -> int:
        """Apply a patch, and return the number of lines that it takes and gives; raises `PatchFails`."""
        texts: dict[str, str] = {}
        size = 0
        for edit in edits:
            text = texts[edit.path] if edit.path in texts else await self.read(edit.path)
            if text is None:
                if edit.old:
                    raise PatchFails(f"there is no file {edit.path!r} to search in")
                if (await self._world.execute(f"git check-ignore -q -- {shlex.quote(edit.path)}")).code == 0:
                    raise PatchFails(f"git ignores the new file {edit.path!r}")
            texts[edit.path] = replaced(text, edit)
            size += changed_lines(edit)
        for path, text in texts.items():
            try:
                await self.write(path, text)
            except ToolFailed as failed:
                raise PatchFails(str(failed)) from None
        return size

    async def run(self, command: str, timeout_s: float) -> str | None:
        """Run all tests and return the lines that name their states; None if their time was up."""
        states = shlex.quote(f"{self._own}/states")
        ran = await self._world.execute(
            f"{NO_BYTE_CODE}rm -f {states}\n( {command}\n) 2>/dev/null | grep -aE '{STATES}' | head -c {MOST_STATES} > {states}\n",
            timeout_s=timeout_s,
        )
        if ran.code is None:
            return None
        return await self.read(f"{OWN}/states") or ""

    async def run_files(self, command: str, files: Sequence[str], timeout_s: float) -> Ran:
        """Run the tests of some files, and return all that they print."""
        # Absolute, for the command may change the folder first.
        named = " ".join(shlex.quote(f"{self.path.rstrip('/')}/{file}") for file in files)
        return await self._world.execute(f"{NO_BYTE_CODE}{command} -- {named}", timeout_s=timeout_s)

    async def put_tests(self, folder: str, texts: Sequence[str]) -> list[str]:
        """Write test files into a folder, and return their paths."""
        paths = [f"{folder}{TEST_NAME}_{number}.py" for number in range(1, len(texts) + 1)]
        for path, text in zip(paths, texts, strict=True):
            await self.write(path, text)
        return paths

    async def _base(self) -> str:
        ran = await self._world.execute(f"cat {shlex.quote(self._own)}/base", timeout_s=GIT_S)
        if ran.code != 0 or not TREE.fullmatch(ran.output.strip()):  # the file is there before its line is
            raise WorkspaceLost("the workspace has no recorded base")
        return ran.output.strip()

    async def _git(self, script: str) -> None:
        ran = await self._world.execute(script, timeout_s=GIT_S)
        if ran.code != 0:
            said = one_line(ran.output.strip().rpartition("\n")[2], 200)
            why = f"git took more than {GIT_S:g} s" if ran.code is None else f"git says {said!r}"
            raise WorkspaceLost(f"the workspace {self._world.workspace!r} is of no use: {why}")


def replaced(text: str | None, edit: Edit) -> str:
    """Return a file after an edit, None being no file; raises `PatchFails` unless the lines to replace are there just once."""
    if not edit.old:
        if text:
            raise PatchFails(
                f"{edit.path!r} is there already, and a block without lines to search for makes a file"
            )
        return edit.new
    text = text or ""
    crlf = "\r\n" in text and text.count("\r\n") == text.count("\n")
    plain = text.replace("\r\n", "\n") if crlf else text
    # Whole lines only: a piece of one is found in places that nobody meant.
    lines = "\n" + (plain if plain.endswith("\n") else plain + "\n")
    at = lines.find("\n" + edit.old)
    if at < 0:
        raise PatchFails(f"the lines to replace are not in {edit.path!r}")
    if lines.find("\n" + edit.old, at + 1) >= 0:
        raise PatchFails(f"the lines to replace are in {edit.path!r} more than once")
    after = lines[1 : at + 1] + edit.new + lines[at + 1 + len(edit.old) :]
    if not plain.endswith("\n") and at + 1 + len(edit.old) < len(lines):
        after = after.removesuffix("\n")
    return after.replace("\n", "\r\n") if crlf else after


def changed_lines(edit: Edit) -> int:
    """Return how many lines an edit takes and gives, those at both its ends that stay the same left out."""
    old, new = edit.old.split("\n"), edit.new.split("\n")
    most = min(len(old), len(new))
    head = next((place for place in range(most) if old[place] != new[place]), most)
    rest = most - head
    tail = next((place for place in range(rest) if old[-1 - place] != new[-1 - place]), rest)
    return len(old) + len(new) - 2 * (head + tail)


def _sizes(entries: Sequence[str]) -> dict[str, int]:
    found = {}
    for entry in entries:
        about, _, path = entry.partition("\t")
        size = about.split()[-1:]
        if path.isprintable() and size and size[0].isdecimal():  # a submodule has none
            found[path] = int(size[0])
    return found


def _names(lines: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        path, _, defines = line.partition("\0")
        if match := DEFINES.match(defines):
            found.setdefault(path, []).append(match[2])
    return found


def folder_for_tests(files: Mapping[str, int]) -> str:
    """Return where a new test is found by what configures the others: the folder of most test files, `tests/` say; "" for the root."""
    counted: dict[str, int] = {}
    for path in files:
        folder, _, name = path.rpartition("/")
        if name.startswith("test_") and name.endswith(".py"):
            counted[folder] = counted.get(folder, 0) + 1
    if not counted:
        return ""
    best = min(counted, key=lambda folder: (-counted[folder], len(folder), folder))
    return f"{best}/" if best else ""
