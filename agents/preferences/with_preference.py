"""Any task, with what is known of a user at the front of its prompts."""

from collections.abc import Mapping, Sequence
from typing import Any

from surefoot.agents.tasks.fronted import EVERYWHERE, Fronted
from surefoot.agents.tasks.task import A, S, Task, Value

from .preference import Preference, description_of
from .prompt_block import block


class WithPreference(Fronted[S, A]):
    """A task whose prompts begin with a user's description; all else is that of the task inside.

        task = WithPreference(Goal("Plan a weekend in Rome."), await Preferences(redis).get("ada"))
        report = await surefoot.run(task, surefoot.Settings(k=1), model=...)

    An empty description changes no prompt.  The description is part of the job: `resume` uses the one that it began with, whatever the user has
    written meanwhile, and deleting the user's leaves it there.
    """

    name = "preference"

    def __init__(
        self,
        task: Task[S, A] | str,
        preference: Preference | str,
        arguments: Sequence[tuple[str, Any]] = (),
    ) -> None:
        """Wrap a task; or make one again from a journal, by its name, its `arguments` as pairs, and the description."""
        super().__init__(task, arguments)
        said = preference.description if isinstance(preference, Preference) else preference
        self.description = said if said == "" else description_of(said)
        self._blocks = {EVERYWHERE: block(self.description)}

    def _own(self) -> Mapping[str, Value]:
        return {"preference": self.description}
