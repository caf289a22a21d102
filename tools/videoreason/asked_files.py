"""The questions about files, in the published words.

Two things differ.  What an `ls` counts as is left open there: here it is no command.  And the files that a video starts from were
made before it, so that no `touch` of them is in it.
"""

from collections import Counter
from collections.abc import Iterable

from .answers import counted_files, file_names, ordered_commands
from .asked import Asked, QuestionBody, numbered, reaching, span
from .boards import NONE
from .files import ENDINGS, FILES, NAMES, Command, Paths, run
from .replays import files_reached

COUNTED = "Provide the file count along with the specific file names (e.g., 2 `.txt` files: a.txt, b.txt)."
RULES = """\
Rules:
1. You may only use the commands `touch` and `rm -rf`.
2. You may use at most two commands.
3. Files specified in `touch` must not appear in `rm -rf` command, and vice versa (i.e., no overlap).

Response Format:
If multiple commands are used, separate them with `&`. For example, `touch path0/{a.txt,b.txt} & rm -rf path0/{c.py,d.json}`."""
INTRODUCTION = """\
The video demonstrates a series of file manipulation commands executed in the Linux command line. To ensure accurate understanding, note \
these assumptions:
`touch` commands: All files created by `touch` do not exist in the target directory prior to the command's execution.
`rm -rf` commands: All files deleted by `rm -rf` do exist in the target directory prior to the command's execution.
`cp` and `mv` commands: All source files used by `cp` and `mv` do exist in the source directory prior to the command's execution. The \
destination path for `cp` and `mv` commands does not contain the target files prior to the command.
Please carefully watch the video and """


class AskedFiles(Asked[Paths, Command]):
    """Questions about a shell."""

    state_dim = "counting_state"

    def introduction(self) -> str:
        """Tell what the commands assume."""
        return INTRODUCTION

    def order_operation(self) -> QuestionBody:
        """Ask for commands in their order, of one kind or of any."""
        verb = self.rng.choice(["", *sorted({command.verb for command in self.video.operations})])
        lines = [
            FILES.write_operation(command) for command in self.video.operations if verb in ("", command.verb)
        ]
        numbers = self._stretch(len(lines))
        kind = f"`{verb}` commands" if verb else "commands"
        text = (
            f"Disregarding `ls`, what are the {span(numbers)} {kind} shown in the video? Provide the order of each command (e.g., 1st, "
            "2nd, 3rd, etc) along with the command content."
        )
        return QuestionBody(text, numbered(numbers, lines), ordered_commands)

    def counting_operation(self) -> QuestionBody:
        """Ask which files of one ending a kind of command named."""
        verb = self.rng.choice(sorted({command.verb for command in self.video.operations}))
        named = {name for command in self.video.operations if command.verb == verb for name in command.names}
        ending = self.rng.choice(sorted({_ending(name) for name in named}))
        text = f"How many different `.{ending}` files were involved in the `{verb}` commands throughout the video? {COUNTED}"
        return QuestionBody(text, _counted(named, ending), counted_files)

    def state(self) -> QuestionBody:
        """Ask for the files of one ending in a path."""
        path, ending = self._path(), self.rng.choice(ENDINGS)
        text = f"At the {self.video.hidden_end} of the video, how many `.{ending}` files remain in `path{path}/`? {COUNTED}"
        return QuestionBody(text, _counted(self.video.hidden[path], ending), counted_files)

    def comparison_state(self) -> QuestionBody:
        """Ask what was in a path at the start alone, or after a command in one path alone."""
        if len(self.video.hidden) > 1 and self.rng.random() < 0.5:
            return self._comparison_of_paths()
        path = self._path()
        gone = set(self.video.states[0][path]) - set(self.video.states[-1][path])
        text = f"What files were in `path{path}/` at the start of the video, but were not there at the end of the video?"
        return QuestionBody(text, _listed(gone), file_names)

    def prediction_state(self) -> QuestionBody:
        """Ask for the files of one ending after further commands."""
        operations, paths = self._further()
        path, ending = self._path(), self.rng.choice(ENDINGS)
        line = " & ".join(map(FILES.write_operation, operations))
        text = f"{self._as_hidden()}, and we run the command `{line}`, which `.{ending}` files would be in `path{path}`?"
        return QuestionBody(text, _listed(_of(paths[path], ending)), file_names)

    def prediction_operation(self) -> QuestionBody:
        """Ask for two commands at most to a list of files."""
        path = self._path()
        commands = self._few(path)
        files = self.video.hidden
        for command in commands:
            files = run(files, command)
        text = (
            f"{self._as_hidden()}, to ensure that `path{path}` contains exactly the following files: `{', '.join(files[path])}`, what "
            f"sequence of commands should be executed?\n{RULES}"
        )
        answer = " & ".join(map(FILES.write_operation, commands))
        return QuestionBody(text, answer, reaching(files_reached, self.video.hidden, path))

    def _few(self, path: int) -> list[Command]:
        """Draw a touch, and a removal of some but not all files, where there are several."""
        there = self.video.hidden[path]
        new = self.rng.sample(sorted(set(NAMES) - set(there)), self.rng.randint(3, 8))
        commands = [Command("touch", tuple(sorted(new)), path, path)]
        if len(there) > 1:
            gone = self.rng.sample(there, self.rng.randint(1, min(4, len(there) - 1)))
            commands.append(Command("rm", tuple(sorted(gone)), path, path))
        return commands

    def _comparison_of_paths(self) -> QuestionBody:
        once = Counter(self.video.operations)
        places = [place for place, command in enumerate(self.video.operations) if once[command] == 1]
        place = self.rng.choice(places or [len(self.video.operations) - 1])
        after = self.video.states[place + 1]
        one = self._path()
        text = (
            f"After the command `{FILES.write_operation(self.video.operations[place])}` was executed, what files were in `path{one}` but "
            f"were not in `path{1 - one}`?"
        )
        return QuestionBody(text, _listed(set(after[one]) - set(after[1 - one])), file_names)

    def _path(self) -> int:
        return self.rng.randrange(len(self.video.hidden))

    def _as_hidden(self) -> str:
        return f"If the paths currently contain exactly the same files as they did at the {self.video.hidden_end} of the video"


def _ending(name: str) -> str:
    return name.partition(".")[2]


def _of(names: Iterable[str], ending: str) -> list[str]:
    return sorted(name for name in names if _ending(name) == ending)


def _counted(names: Iterable[str], ending: str) -> str:
    found = _of(names, ending)
    return f"{len(found)} `.{ending}` files: {', '.join(found) or NONE}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or NONE
