"""How a labelled run is told: agents with different tools, their thoughts, and what an environment answers."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from surefoot.agents.monitor.kinds import word_set
from surefoot.agents.monitor.trajectory import Action, Turn, action, turn

AgentStyle = Literal["bash", "editor", "functions", "shop"]
STYLES: tuple[AgentStyle, ...] = ("bash", "editor", "functions", "shop")

FIRST = sorted(
    word_set(
        "lazy stale outer inner cached empty partial legacy strict nested early final shared local remote signed"
    )
)
LAST = sorted(
    word_set(
        "parser index cursor token header buffer schema widget ledger router filter frame window queue config record"
    )
)
VERBS = sorted(
    word_set(
        "checks drops rounds copies caches parses escapes merges resets shadows locks skips trims counts signs"
    )
)
OPENINGS = (
    "The {0} probably {2} before the {1} is ready.",
    "Looking at {0}, I suspect {1}.",
    "Perhaps {0} should not touch {1} at all.",
    "So {0} {2} twice, which explains {1}.",
    "Wait, what if {0} and {1} disagree?",
    "Alternatively {1} could be built from {0}.",
    "I remember that {0} {2} lazily.",
    "Hmm, {1} depends on {0}, not the other way round.",
    "First {0}, then {1}.",
    "One more case: {0} is empty while {1} {2}.",
    "If {0} {2} here, then {1} would be wrong too.",
    "That would also cover {1}.",
    "Let me check {0}.",
    "Nothing in {0} needs {1}.",
    "We have seen {1} already; {0} is new.",
    "It {2} only when {0} is set.",
)
FAILED = (
    'Traceback (most recent call last):\n  File "{0}.py", line {3}, in run\n    {1}()\nTypeError: {0} {2} None',
    "============ 1 failed, {3} passed in 0.{3}s ============\nFAILED tests/test_{0}.py::test_{1}",
    "error: {0} {2} twice ({1})\nmake: *** [build] stopped\nexit code: 2",
    "{0}.py: No such file or directory",
    "Uncaught TypeError: {0} is not a function",
    "AssertionError: expected {1}, found {0}",
)
UNUSUAL_FAILURES = (
    "The old text of {0} was found twice; nothing was changed.",
    "{0} rejected: {1} is closed",
    "timed out",
)
PASSED = (
    "============ {3} passed in 0.{3}s ============",
    "OK ({3} checks)",
    "{3} passed, 0 failed",
    "{0}: ok\n{1}: ok",
    "ValueError: {0} {2} nothing (expected by test_{1})\n{3} passed",
    "caught TypeError: {0} {2} {1}, as it should\nall done",
)
PASSED_ODDLY = (
    "1 error ignored in {0}, as configured\n{1} is fine",
    "RuntimeError: {0} {2}, recovered\n{1} settled",
)
ODDLY = 0.05
"""How often what went well reads as if it had not."""
SEEN = (
    "def {0}({1}):\n    return {1}.{0}\n",
    "{0}\n{1}\nREADME",
    "{3}: {0} = {1}",
    '{{"{0}": "{1}", "count": {3}}}',
)


class _Tools(NamedTuple):
    """How one kind of agent does the same things."""

    look: Callable[[str], Action]
    change: Callable[[str, str], Action]
    check: Callable[[str], Action]
    chore: Callable[[str], Action]
    end: Callable[[], Action]


def _call(name: str, **arguments: str) -> Action:
    return action(name, json.dumps(arguments))


TOOLS: dict[AgentStyle, tuple[_Tools, ...]] = {
    "bash": (
        _Tools(
            lambda name: action("bash", f"sed -n '1,80p' src/{name}.py"),
            lambda name, new: action("bash", f"cat <<'EOF' > src/{name}.py\ndef {new}(): pass\nEOF"),
            lambda name: action("bash", f"cd src && python -m pytest -q tests/test_{name}.py"),
            lambda name: action("bash", f"rm -f scratch_{name}.py"),
            lambda: action(
                "bash", "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git add -A && git diff --cached"
            ),
        ),
        _Tools(
            lambda name: action("bash", f"grep -rn {name} src | head -20"),
            lambda name, new: action("bash", f"sed -i 's/{name}/{new}/' src/{name}.py"),
            lambda name: action("bash", f"make test-{name} 2>&1 | tail -5"),
            lambda name: action("bash", f"git add src/{name}.py"),
            lambda: action("bash", "submit"),
        ),
    ),
    "editor": (
        _Tools(
            lambda name: _call("str_replace_editor", command="view", path=f"/repo/{name}.py"),
            lambda name, new: _call(
                "str_replace_editor", command="str_replace", path=f"/repo/{name}.py", new_str=new
            ),
            lambda name: _call("execute_bash", command=f"python reproduce_{name}.py"),
            lambda name: _call("execute_bash", command=f"rm reproduce_{name}.py"),
            lambda: _call("finish", message="The issue is resolved."),
        ),
    ),
    "functions": (
        _Tools(
            lambda name: _call("search_code", query=name),
            lambda name, new: _call("write_file", path=f"{name}.ts", content=f"export const {new} = 1"),
            lambda name: _call("run_tests", suite=name),
            lambda name: _call("notify", text=f"working on {name}"),
            lambda: _call("answer"),
        ),
    ),
    "shop": (
        _Tools(
            lambda name: _call("get_order", id=name),
            lambda name, new: _call("update_order", id=name, state=new),
            lambda name: _call("check_payment", id=name),
            lambda name: _call("send_message", to=name),
            lambda: _call("complete", summary="The order is settled."),
        ),
    ),
}


class Teller:
    """Tells one run, turn by turn."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.style = rng.choice(STYLES)
        self.tools = rng.choice(TOOLS[self.style])
        self.turns: list[Turn] = []
        self.about = self.name()

    def name(self) -> str:
        """Make up something that a task can be about."""
        return f"{self.rng.choice(FIRST)}_{self.rng.choice(LAST)}"

    def filled(self, templates: Sequence[str]) -> str:
        """Fill one of the templates."""
        rng = self.rng
        return rng.choice(templates).format(self.name(), self.name(), rng.choice(VERBS), rng.randint(2, 90))

    def thought(self, tokens: int) -> str:
        """Write about so many tokens of thought, in the manner of this agent."""
        between = self.rng.choice((" ", " ", "\n", "\n\n"))
        said: list[str] = []
        size = 0
        while size < 4 * tokens:
            said.append(self.filled(OPENINGS))
            size += len(said[-1])
        return between.join(said)

    def act(
        self, *actions: Action, seen: str | None, failed: bool | None = None, tokens: int | None = None
    ) -> None:
        """Add a turn with these actions."""
        tokens = self.rng.randint(15, 250) if tokens is None else tokens
        self.turns.append(turn(self.thought(tokens), actions, seen, failed))

    def look(self, tokens: int | None = None) -> None:
        """Read something."""
        self.act(
            self.tools.look(self.name()), seen=self.filled(SEEN) * self.rng.randint(1, 12), tokens=tokens
        )

    def change(self, tokens: int | None = None) -> None:
        """Change something."""
        self.act(
            self.tools.change(self.about, self.name()),
            seen=self.rng.choice(("", "done", "edited")),
            tokens=tokens,
        )

    def check(self, passes: bool, tokens: int | None = None, failures: Sequence[str] = FAILED) -> None:
        """Try it out; sometimes a harness says whether it went well, more often the text alone tells."""
        told = None if self.rng.random() < 0.6 or self.style == "shop" else not passes
        passed = PASSED_ODDLY if self.rng.random() < ODDLY else PASSED
        seen = self.filled(passed if passes else failures)
        self.act(self.tools.check(self.about), seen=seen, failed=told, tokens=tokens)

    def muse(self, tokens: int, reply: str | None = "Please go on, or finish.") -> None:
        """Think without acting."""
        self.turns.append(turn(self.thought(tokens), (), reply, False if reply else None))

    def end(self, *before: Action) -> None:
        """Declare the end, perhaps in one turn with other actions."""
        self.act(*before, self.tools.end(), seen=None)

    def work(self, rounds: int) -> None:
        """Look around, change and try: what a run is made of when all is well."""
        for _ in range(rounds):
            for _ in range(self.rng.randint(0, 2)):
                self.look()
            self.change()
            self.check(self.rng.random() < 0.5)
