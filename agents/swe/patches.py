"""Patches: checked on a clean checkout before they are called predictions.

What git makes of a patch is checked, not how it looks: it is applied to an index that nobody else has, and the result is
compared with the base commit.  The prediction's text is that comparison, so equal changes have equal texts.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from surefoot.errors import BadInput, SurefootError
from surefoot.printable import printable

from .git import NO_WORD, Borrowed, GitFailed, borrowed, git, terminated
from .links import leads_out

MOST_BYTES = 32 << 20
MOST_FILES, MOST_LINKS = 10_000, 1_000
"""That one patch changes."""
SCRATCH = (
    "/patch.txt",
    "/*.patch",
    "/*.diff",
    "/reproduce*",
    "/repro_*",
    "/repro.*",
    "*.orig",
    "*.rej",
    "*.swp",
    "*~",
    "__pycache__/",
    "*.py[cod]",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".cache/",
    ".coverage",
    "nohup.out",
    "core.[0-9]*",
)
"""New files that agents leave behind, in the language of .gitignore; changes of files that were there always stay."""
DIFF = (
    "--literal-pathspecs",
    "diff-index",
    "-p",
    "--cached",
    "--binary",
    "--full-index",
    "--no-renames",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
)
CHANGED = "changed"
"""The index that the patch is applied to; the other one stays as the base commit is."""
LINK, SUBMODULE, ABSENT = b"120000", b"160000", b"000000"


class PatchRefused(SurefootError):
    """A patch cannot be a prediction: it does not apply, or reaches where it must not."""


class FileChange(NamedTuple):
    """What a patch does to one file."""

    path: str
    """As git has it; bytes that are no UTF-8 are surrogates, as in `os.fsdecode`."""
    kind: Literal["added", "modified", "deleted"]


class CheckedPatch(NamedTuple):
    """A patch that applies to a clean checkout of the base commit."""

    text: str
    """For a prediction; empty if nothing is changed."""
    changes: tuple[FileChange, ...]
    left_out: tuple[str, ...] = ()
    """Scratch files that it would have added."""


class _Entry(NamedTuple):
    old_mode: bytes
    new_mode: bytes
    new_blob: bytes
    path: bytes

    @property
    def change(self) -> FileChange:
        kind: Literal["added", "modified", "deleted"] = (
            "added" if self.old_mode == ABSENT else "deleted" if self.new_mode == ABSENT else "modified"
        )
        return FileChange(os.fsdecode(self.path), kind)


def emptiness(patch: str | None) -> Literal["none", "empty", "blank", ""]:
    """Say how a prediction's patch is empty, "" if it is not.

    The official harness (5.0.2) counts None and "" as empty patches, and white space as a patch that does not apply.
    """
    if patch is None:
        return "none"
    return "empty" if not patch else "" if patch.strip() else "blank"


async def check_patch(
    patch: bytes, repository: Path, commit: str, *, scratch: Iterable[str] = SCRATCH
) -> CheckedPatch:
    """Check a patch against `commit` of a clone or mirror, and return it as a prediction has it.

    New files that `scratch` or the commit's own .gitignore files name are left out.  Raises `PatchRefused` for a patch
    that does not apply, is white space, or touches what lies outside of the repository, its submodules or `.git`;
    `BadInput` if there is no such repository or commit.
    """
    if not patch:
        return CheckedPatch("", ())
    if not patch.strip():
        raise PatchRefused(
            "the patch is white space only, which the official harness counts as an error: make it empty"
        )
    if len(patch) > MOST_BYTES:
        raise PatchRefused(f"the patch has {len(patch):,} bytes: expected at most {MOST_BYTES:,}")
    async with borrowed(repository, commit) as base:
        try:
            return await _checked(ended(patch), base, tuple(scratch))
        except GitFailed as failed:
            raise PatchRefused(f"the patch does not apply at {commit!r}: {failed}") from None


def encoded(patch: str) -> bytes:
    """Return a prediction's patch as bytes; `PatchRefused` for halves of surrogate pairs, which no file can hold."""
    try:
        return patch.encode()
    except UnicodeEncodeError:
        raise PatchRefused(
            "the patch is no text that can be written: it holds half of a surrogate pair"
        ) from None


def ended(patch: bytes) -> bytes:
    """Return a patch with a last line break, without which git calls it corrupt; models leave it out."""
    return patch if patch.endswith(b"\n") else patch + b"\n"


async def changed_paths(patch: bytes, folder: Path) -> list[bytes]:
    """Return the paths that a patch names, in order, in any folder; renamed files by their new names.  Raises `GitFailed`."""
    printed = await git("apply", "--numstat", "-z", "-", cwd=folder, stdin=ended(patch))
    return [line.split(b"\t", 2)[2] for line in printed.split(b"\0")[:-1]]


async def _checked(patch: bytes, base: Borrowed, scratch: tuple[str, ...]) -> CheckedPatch:
    paths = await changed_paths(patch, base.tree)
    if len(paths) > MOST_FILES:
        raise PatchRefused(f"the patch changes {len(paths):,} files: expected at most {MOST_FILES:,}")
    for path in paths:
        _refuse_place(path)
    await base.git("read-tree", base.commit)
    await base.git("read-tree", base.commit, index=CHANGED)
    await base.git("apply", "--cached", "--whitespace=nowarn", "-", stdin=patch, index=CHANGED)
    entries = await _entries(base)
    left_out = await _scratch([entry.path for entry in entries if entry.old_mode == ABSENT], base, scratch)
    if left_out:
        await base.git(
            "update-index",
            "-z",
            "--force-remove",
            "--stdin",
            stdin=terminated(sorted(left_out)),
            index=CHANGED,
        )
        entries = [entry for entry in entries if entry.path not in left_out]
    await _refuse_modes(entries, base)
    text = await _text(entries, base)
    await _try_out(text, entries, base)
    return CheckedPatch(
        text.decode(), tuple(entry.change for entry in entries), tuple(map(os.fsdecode, sorted(left_out)))
    )


def _refuse_place(path: bytes) -> None:
    shown = repr(printable(os.fsdecode(path)))
    parts = path.split(b"/")
    if path.startswith(b"/"):
        raise PatchRefused(f"the patch changes {shown}, an absolute path: make it relative to the repository")
    if b".." in parts:
        raise PatchRefused(f"the patch changes {shown}, which leads out of the repository")
    if any(part.lower() in (b".git", b"git~1") for part in parts):
        raise PatchRefused(f"the patch changes {shown}, which belongs to git itself")


async def _entries(base: Borrowed) -> list[_Entry]:
    printed = await base.git(
        *("diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", base.commit), index=CHANGED
    )
    fields = printed.split(b"\0")[:-1]
    found = []
    for told, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, new_mode, _, new_blob, _ = told.removeprefix(b":").split(b" ")
        found.append(_Entry(old_mode, new_mode, new_blob, path))
    return found


async def _scratch(added: list[bytes], base: Borrowed, patterns: tuple[str, ...]) -> set[bytes]:
    """Return those of the added files that the patterns, or the base commit's own .gitignore files, name."""
    if not added:
        return set()
    if wrong := next((pattern for pattern in patterns if "\n" in pattern or "\0" in pattern), None):
        raise BadInput(f"a pattern of scratch files must be one line, not {wrong!r}")
    (base.folder / "scratch").write_text(
        "".join(f"{pattern}\n" for pattern in patterns), "utf-8", "surrogateescape"
    )
    listed = await base.git("ls-tree", "-r", "-z", "--name-only", base.commit)
    ignores = [name for name in listed.split(b"\0")[:-1] if name.rpartition(b"/")[2] == b".gitignore"]
    await base.git("checkout-index", "-f", "-z", "--stdin", stdin=terminated(ignores))
    command = (
        "-c",
        f"core.excludesFile={base.folder / 'scratch'}",
        "check-ignore",
        "--no-index",
        "-z",
        "--stdin",
    )
    try:
        # Behind `./` a name that begins with a colon is no magic.
        printed = await base.git(*command, stdin=terminated(b"./" + path for path in added))
    except GitFailed as failed:
        if str(failed) != NO_WORD:
            raise
        return set()  # exit code 1: none of them
    return {path.removeprefix(b"./") for path in printed.split(b"\0")[:-1]}


async def _refuse_modes(entries: list[_Entry], base: Borrowed) -> None:
    for entry in entries:
        shown = repr(printable(os.fsdecode(entry.path)))
        if SUBMODULE in (entry.old_mode, entry.new_mode) or entry.path == b".gitmodules":
            raise PatchRefused(f"the patch changes a submodule, {shown}: leave submodules as they are")
    links = [entry.path for entry in entries if entry.new_mode == LINK]
    if not links:
        return
    if len(links) > MOST_LINKS:
        raise PatchRefused(f"the patch adds {len(links):,} symbolic links: expected at most {MOST_LINKS:,}")
    targets = await _links(base)
    for path in links:
        if leads_out(path, targets):
            shown, target = printable(os.fsdecode(path)), printable(os.fsdecode(targets[path]))
            raise PatchRefused(f"the patch adds a link out of the repository: {shown!r} leads to {target!r}")


async def _links(base: Borrowed) -> dict[bytes, bytes]:
    """Return all links of the index and where they lead."""
    listed = (await base.git("ls-files", "--stage", "-z", index=CHANGED)).split(b"\0")[:-1]
    found = [line.partition(b"\t") for line in listed if line.startswith(LINK)]
    blobs = [told.split(b" ")[1] for told, _, _ in found]
    held = await base.git("cat-file", "--batch", stdin=b"".join(blob + b"\n" for blob in blobs))
    targets, start = [], 0
    for _ in blobs:
        end = held.index(b"\n", start)
        size = int(held[start:end].split(b" ")[2])
        targets.append(held[end + 1 : end + 1 + size])
        start = end + size + 2
    return {path: target for (_, _, path), target in zip(found, targets, strict=True)}


async def _text(entries: list[_Entry], base: Borrowed) -> bytes:
    """Return the patch in UTF-8: what is text in another encoding travels as binary, for predictions are JSON."""
    if not entries:
        return b""
    text = await base.git(*DIFF, base.commit, index=CHANGED)
    if _encodable(text):
        return text
    plain: list[str] = []
    odd: list[str] = []
    for entry in entries:
        path = os.fsdecode(entry.path)
        (plain if _encodable(await base.git(*DIFF, base.commit, "--", path, index=CHANGED)) else odd).append(
            path
        )
    parts = [await base.git(*DIFF, base.commit, "--", *plain, index=CHANGED)] if plain else []
    attributes = base.bare / "info/attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text("* -diff\n")
    parts.append(await base.git(*DIFF, base.commit, "--", *odd, index=CHANGED))
    return b"".join(parts)


def _encodable(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


async def _try_out(text: bytes, entries: list[_Entry], base: Borrowed) -> None:
    """Apply a patch to a clean checkout of the files that it changes: line ends and the like may differ from the index."""
    changed = [entry.path for entry in entries if entry.old_mode != ABSENT]
    await base.git("checkout-index", "-f", "-z", "--stdin", stdin=terminated(changed))
    if text:
        await base.git("apply", "--whitespace=nowarn", "-", stdin=text)
