"""The stories that the labelled trajectories tell, by what is wrong in them.

`labelled` describes what they are for.  Every story settles its other affairs properly, so that only one thing is wrong.
"""

from collections.abc import Callable

from surefoot.agents.monitor.signals import Pattern
from surefoot.agents.monitor.trajectory import Action

from .teller import FAILED, UNUSUAL_FAILURES, Teller

Story = Callable[[Teller], None]


def _settle(s: Teller) -> None:
    """End as one should: change, see it pass, finish."""
    s.change()
    s.check(passes=True)
    s.end()


def _theory_only(s: Teller) -> None:
    for _ in range(s.rng.randint(3, 8)):
        s.muse(s.rng.randint(200, 1500), reply=s.rng.choice((None, "Please go on, or finish.")))


def _stops_acting(s: Teller) -> None:
    s.work(s.rng.randint(1, 3))
    for _ in range(s.rng.randint(3, 6)):
        s.muse(s.rng.randint(150, 900))
    _settle(s)


def _rarely_acts(s: Teller) -> None:
    for _ in range(s.rng.randint(4, 7)):
        s.muse(s.rng.randint(100, 600))
        if s.rng.random() < 0.4:
            s.muse(s.rng.randint(100, 600))
        s.look()
    _settle(s)


def _plans_for_pages(s: Teller) -> None:
    for _ in range(s.rng.randint(5, 9)):
        s.look(tokens=s.rng.randint(3500, 9000))
    _settle(s)


def _broods_after_failures(s: Teller) -> None:
    for _ in range(s.rng.randint(2, 4)):
        s.change()
        s.check(passes=False)
        s.muse(s.rng.randint(150, 2500))
    _settle(s)


def _batch(s: Teller, count: int) -> list[Action]:
    made = [s.tools.change(s.name(), s.name()) for _ in range(count - 1)]
    return [*made, s.rng.choice((s.tools.check, s.tools.look))(s.name())]


def _batch_after_failure(s: Teller) -> None:
    s.work(s.rng.randint(0, 2))
    s.change()
    s.check(passes=False)
    s.act(*_batch(s, s.rng.randint(2, 5)), seen=s.filled(("done", "edited\n{0}")))
    _settle(s)


def _batches_all_along(s: Teller) -> None:
    for _ in range(s.rng.randint(2, 4)):
        s.check(passes=False)
        s.act(*_batch(s, s.rng.randint(2, 3)), seen=s.filled(FAILED))
    _settle(s)


def _batch_after_a_thought(s: Teller) -> None:
    s.look()
    s.check(passes=False)
    s.muse(s.rng.randint(20, 200), reply="Go on.")
    s.act(*_batch(s, 3), seen="done")
    _settle(s)


def _batch_after_a_quiet_failure(s: Teller) -> None:
    """The environment refuses in words that no list of error messages knows."""
    s.look()
    s.act(s.tools.change(s.about, s.name()), seen=s.filled(UNUSUAL_FAILURES))
    s.act(*_batch(s, s.rng.randint(2, 3)), seen="done")
    _settle(s)


def _edits_and_ends(s: Teller) -> None:
    s.work(s.rng.randint(0, 3))
    s.change()
    s.end()


def _edits_while_ending(s: Teller) -> None:
    s.work(s.rng.randint(1, 3))
    s.check(passes=True)
    s.end(s.tools.change(s.about, s.name()))


def _tidies_instead_of_testing(s: Teller) -> None:
    s.work(s.rng.randint(0, 2))
    s.change()
    s.act(s.tools.chore(s.about), seen="")
    s.end()


def _ends_on_a_failure(s: Teller) -> None:
    s.work(s.rng.randint(0, 2))
    s.change()
    s.check(passes=False)
    s.end()


def _looks_elsewhere_and_ends(s: Teller) -> None:
    """What it reads last has nothing to do with what it changed."""
    s.work(s.rng.randint(0, 2))
    s.change()
    s.look()
    s.end()


def _ends_at_once(s: Teller) -> None:
    s.end()


def _gives_up_unasked(s: Teller) -> None:
    """It has only looked around, and calls the task impossible: nothing that a rule without words could see."""
    for _ in range(s.rng.randint(1, 4)):
        s.look()
    s.end()


def _plain_work(s: Teller) -> None:
    s.work(s.rng.randint(1, 6))
    _settle(s)


def _long_thought_then_action(s: Teller) -> None:
    s.look()
    s.look(tokens=s.rng.randint(3000, 6000))
    s.work(s.rng.randint(2, 4))
    _settle(s)


def _thinks_long_before_each_step(s: Teller) -> None:
    for _ in range(s.rng.randint(3, 6)):
        s.look(tokens=s.rng.randint(1000, 4500))
        s.change(tokens=s.rng.randint(1000, 4500))
    _settle(s)


def _asks_a_person(s: Teller) -> None:
    """Turns without a tool, which a user answers."""
    s.look()
    for _ in range(s.rng.randint(1, 3)):
        s.muse(s.rng.randint(15, 60), reply=f"Take {s.name()}, please.")
    _settle(s)


def _looks_in_parallel(s: Teller) -> None:
    s.look()
    s.check(passes=False)
    s.act(
        *[s.tools.look(s.name()) for _ in range(s.rng.randint(2, 4))],
        seen="\n".join(s.name() for _ in range(9)),
    )
    _settle(s)


def _batch_without_failure(s: Teller) -> None:
    s.look()
    s.act(s.tools.change(s.about, s.name()), s.tools.check(s.about), seen=s.filled(("{3} passed", "{0}: ok")))
    _settle(s)


def _one_word_in_between(s: Teller) -> None:
    s.work(s.rng.randint(2, 4))
    s.muse(s.rng.randint(30, 300))
    _settle(s)


def _tidies_after_testing(s: Teller) -> None:
    s.work(s.rng.randint(1, 3))
    s.change()
    s.check(passes=True)
    s.act(s.tools.chore(s.about), seen="")
    s.end()


def _runs_out_of_turns(s: Teller) -> None:
    s.work(s.rng.randint(4, 9))


def _answers_a_question(s: Teller) -> None:
    """Nothing was to be changed, and what was read is the answer."""
    s.look()
    s.check(passes=True)
    s.end()


def _retries_with_changes(s: Teller) -> None:
    for _ in range(s.rng.randint(6, 14)):
        s.change()
        s.check(passes=False)
    _settle(s)


def _tries_one_setting_after_another(s: Teller) -> None:
    for _ in range(s.rng.randint(8, 20)):
        s.act(s.tools.check(s.name()), seen=s.filled(FAILED[:2]))
    _settle(s)


def _waits_for_a_job(s: Teller) -> None:
    s.change()
    waiting = s.tools.check(s.about)
    for _ in range(s.rng.randint(2, 8)):
        s.act(waiting, seen=f"{s.about} is still running, {s.rng.randint(1, 99)} %")
    _settle(s)


def _goes_back_and_forth(s: Teller) -> None:
    for _ in range(s.rng.randint(5, 10)):
        s.look()
        s.change()
    _settle(s)


def _same_again(s: Teller) -> None:
    s.look()
    check, seen = s.tools.check(s.about), s.filled(FAILED[1:])
    for _ in range(s.rng.randint(4, 10)):
        s.act(check, seen=f"{seen}\nin {s.rng.randint(1, 99)} ms")
    _settle(s)


def _round_and_round(s: Teller) -> None:
    s.work(1)
    steps = [(s.tools.look(s.name()), s.filled(FAILED)) for _ in range(s.rng.randint(2, 4))]
    for _ in range(s.rng.randint(3, 5)):
        for step, seen in steps:
            s.act(step, seen=seen)
    _settle(s)


def _same_words_again(s: Teller) -> None:
    s.look()
    passage = s.thought(s.rng.randint(15, 120))
    s.act(s.tools.look(s.name()), seen=s.name(), tokens=20)
    looping = "\n".join([s.thought(60), *[passage] * s.rng.randint(8, 30)])
    s.turns[-1] = s.turns[-1]._replace(thought=looping, reasoning_tokens=len(looping) // 4)
    _settle(s)


def _nearly_the_same_again(s: Teller) -> None:
    """The same look at the same thing, worded a little differently each time."""
    for number in range(s.rng.randint(5, 9)):
        s.act(s.tools.look(f"{s.about}{'_' * number}"), seen="nothing found")
    _settle(s)


GROUPS: tuple[tuple[str, Pattern | None, tuple[Story, ...]], ...] = (
    (
        "paralysis",
        "analysis_paralysis",
        (_theory_only, _stops_acting, _rarely_acts, _plans_for_pages, _broods_after_failures),
    ),
    (
        "rogue",
        "rogue_actions",
        (_batch_after_failure, _batches_all_along, _batch_after_a_thought, _batch_after_a_quiet_failure),
    ),
    (
        "premature",
        "premature_disengagement",
        (
            *(_edits_and_ends, _edits_while_ending, _tidies_instead_of_testing, _ends_on_a_failure),
            *(_ends_at_once, _gives_up_unasked, _looks_elsewhere_and_ends),
        ),
    ),
    (
        "clean",
        None,
        (
            *(_plain_work, _long_thought_then_action, _thinks_long_before_each_step, _one_word_in_between),
            *(_asks_a_person, _looks_in_parallel, _batch_without_failure, _tidies_after_testing),
            *(_runs_out_of_turns, _answers_a_question),
        ),
    ),
    (
        "persistent",
        None,
        (_retries_with_changes, _tries_one_setting_after_another, _waits_for_a_job, _goes_back_and_forth),
    ),
    ("looping", "loops", (_same_again, _round_and_round, _same_words_again, _nearly_the_same_again)),
)
"""Name, what is wrong, stories."""
