"""Any task, with what is known of a user at the front of its prompts."""

from collections.abc import Mapping
from typing import Any

from surefoot.agents.handbook import WithHandbook
from surefoot.agents.tasks.optional import Shortens
from surefoot.agents.tasks.task import A, S, Task, Value

from .preference import Preference, description_of
from .prompt_block import block


class WithPreference(WithHandbook[S, A]):
    """A task whose prompts begin with a user's description, where `WithHandbook` puts its block; all else is that of the task inside.

        task = WithPreference(Goal("Plan a weekend in Rome."), await Preferences(redis).get("ada"))
        report = await surefoot.run(task, surefoot.Settings(k=1), model=...)

    An empty description changes no prompt.  The description is part of the job: `resume` uses the one that it began with, whatever the user has
    written meanwhile, and deleting the user's leaves it there.  A class of your own is resumed by `task=WithPreference.around(Countdown)`.
    """

    name = "preference"

    def __init__(
        self,
        task: Task[S, A] | str,
        preference: Preference | str,
        arguments: tuple[tuple[str, Any], ...] = (),
    ) -> None:
        """Wrap a task; or make one again from a journal, by its name, its `arguments` as pairs, and the description."""
        said = preference.description if isinstance(preference, Preference) else preference
        self.description = said if said == "" else description_of(said)
        super().__init__(task, (), arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it travel to another process by what it is made of."""
        return WithPreference, (self.task, self.description)

    def spec(self) -> Mapping[str, Value]:
        """The task inside, and the description."""
        return {
            "task": self.task.name,
            "arguments": tuple(self.task.spec().items()),
            "preference": self.description,
        }

    def _take_over(self, inner: Task[S, A]) -> None:
        """Put this block in the place of the handbook's, and have what the task inside has."""
        self._block = block(self.description)
        super()._take_over(inner)
        if isinstance(inner, Shortens):
            self.short = lambda: type(self)(inner.short(), self.description)
