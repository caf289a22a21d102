"""Jobs whose risk is spent step by step: same journal, same resume, and a report that says what was expected."""

from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

import surefoot
from surefoot import BadInput, Settings, Towers
from surefoot.agents.tasks.failures import TaskFailed
from surefoot.agents.tasks.towers import TowersState
from surefoot.models.doubles import towers_double
from surefoot.orchestration.events import Began, Noted, SegmentBegan
from surefoot.orchestration.journal.jobs import Keys, load
from surefoot.orchestration.plan import Unsupported
from surefoot.voting import RiskBudget, Stalled

BUDGET = Settings(rule="budget", states=3000)
ALIKE = Settings(rule="budget", hardest=0.0)


class ByDisk(Towers):
    """Towers that tell the moves of disk 1 from the others."""

    def step_kind(self, state: TowersState) -> str:
        previous, _ = state
        return "other disks" if previous is not None and previous[0] == 1 else "disk 1"


async def test_a_budget_decides_the_same_steps_with_fewer_votes(redis_url: str) -> None:
    model = towers_double(error=0.002)
    lead = await surefoot.run(Towers(9, "compact"), Settings(states=3000), model=model, redis=redis_url)
    budget = await surefoot.run(Towers(9, "compact"), ALIKE, model=model, redis=redis_url)
    assert (lead.solved, budget.solved) == (True, True)
    assert lead.head == budget.head
    assert budget.votes < lead.votes
    assert (budget.rule, budget.k) == ("budget", 2)
    assert budget.risk is not None
    assert budget.risk <= 0.01 * (1 + 1e-9)


async def test_a_budget_is_resumed_as_it_was_and_older_readers_refuse_it(redis_url: str) -> None:
    model, task = towers_double(error=0.01), Towers(8, "compact")
    whole = await surefoot.run(task, BUDGET, model=model, redis=redis_url, job="whole")
    first = await surefoot.run(
        task, BUDGET, model=model, redis=redis_url, job="parts", budget=surefoot.Budget(steps=100)
    )
    assert (first.status, first.steps) == ("stopped", 100)
    again = await surefoot.resume("parts", model=model, redis=redis_url)
    assert (again.head, again.votes, again.kinds) == (whole.head, whole.votes, whole.kinds)
    await surefoot.run(task, Settings(k=3), model=model, redis=redis_url, job="plain")
    async with Redis.from_url(redis_url) as store:
        found = await load(store, "parts")
        assert isinstance(found.budget, RiskBudget)
        assert found.settings.rule == "budget"
        assert await store.hget(Keys("parts").meta, "schema") == b"2"
        assert await store.hget(Keys("plain").meta, "schema") == b"1"


async def test_speculation_changes_no_decision_of_a_budget(redis_url: str) -> None:
    model, task = towers_double(error=0.01), ByDisk(8, "compact")
    plain = await surefoot.run(task, BUDGET, model=model, redis=redis_url)
    ahead = await surefoot.run(task, BUDGET, model=model, redis=redis_url, speculate=surefoot.Speculation())
    assert (ahead.head, ahead.votes, ahead.kinds) == (plain.head, plain.votes, plain.kinds)
    assert ahead.speculation is not None


async def test_kinds_are_calibrated_and_reported_by_name(redis_url: str) -> None:
    report = await surefoot.run(
        ByDisk(8, "compact"), BUDGET, model=towers_double(error=0.01), redis=redis_url
    )
    kinds = {kind.kind: kind for kind in report.kinds}
    assert set(kinds) == {"disk 1", "other disks"}
    assert sum(kind.votes for kind in report.kinds) == report.votes
    for kind in report.kinds:
        assert kind.dissent_predicted is not None
        assert kind.dissent_rate <= kind.dissent_predicted
        assert kind.leads[0][0] >= 2


async def test_kinds_that_the_calibration_has_not_met_are_counted_together(redis_url: str) -> None:
    class Odd(ByDisk):
        """It names kinds of its own once the job runs, as one might whose states are not those of its cases."""

        running = False

        def step_kind(self, state: TowersState) -> str:
            return f"new {state[1][0]}" if self.running else super().step_kind(state)

    def listen(event: object) -> None:
        Odd.running = Odd.running or isinstance(event, Began)

    model = towers_double(error=0.01)
    report = await surefoot.run(Odd(6, "compact"), ALIKE, model=model, redis=redis_url, on_event=listen)
    assert report.solved
    votes = {kind.kind: kind.votes for kind in report.kinds}
    assert votes == {"disk 1": 0, "other disks": 0, None: report.votes}


async def test_a_kind_that_cannot_be_counted_is_refused_where_it_comes(redis_url: str) -> None:
    class Long(Towers):
        def step_kind(self, state: TowersState) -> str:
            return "k" * 41

    with pytest.raises(TaskFailed, match="a short printable name"):
        await surefoot.run(Long(4, "compact"), BUDGET, model=towers_double(), redis=redis_url)


@pytest.mark.parametrize("ahead", [None, surefoot.Speculation()])
async def test_a_kind_that_fails_on_an_expected_state_fails_in_its_turn(
    redis_url: str, ahead: surefoot.Speculation | None
) -> None:
    class Fails(ByDisk):
        running = False

        def step_kind(self, state: TowersState) -> str:
            if self.running and not state[1][0]:  # peg 0 is empty for the first time after half of the steps
                raise ValueError("no kind here")
            return super().step_kind(state)

    def listen(event: object) -> None:
        Fails.running = Fails.running or isinstance(event, Began)

    with pytest.raises(TaskFailed, match="no kind here") as failed:
        await surefoot.run(
            Fails(5, "compact"),
            ALIKE,
            model=towers_double(),
            redis=redis_url,
            speculate=ahead,
            on_event=listen,
        )
    assert failed.value.step == 16


async def test_a_budget_decides_until_a_step_climbs_and_its_lead_is_that_of_the_rungs(redis_url: str) -> None:
    class TwoViews(Towers):
        """Ballots take two views of a step in turn; the third is for hard steps."""

        name = "towers-in-two-views"
        views = 2

        def paraphrases(self) -> int:
            return 1

    model = towers_double(hard=0.01, hard_error=1.0, hard_alike=True, seed=1)
    plain = Settings(rule="budget", limit=60)
    climbing = replace(plain, ladder=surefoot.Ladder(("votes", "views")))
    task = TwoViews(8, "compact")
    with pytest.raises(Stalled):
        await surefoot.run(task, plain, model=model, redis=redis_url)
    report = await surefoot.run(task, climbing, model=model, redis=redis_url)
    assert (report.solved, report.rule) == (True, "budget")
    votes, views = report.rungs
    assert votes.decided == 0  # a mistake that is half of the votes never has half of the other's
    assert views.climbed == views.decided == len(views.steps) == votes.climbed > 0
    # Votes of rungs are none of the budget's; in the further view no ballot is wrong, so the step's own lead decides.
    assert sum(kind.votes for kind in report.kinds) == report.votes
    leads = {lead[0] for lead in report.kinds[0].leads}
    assert min(leads) * views.decided <= views.samples <= max(leads) * views.decided
    await surefoot.run(
        task, climbing, model=model, redis=redis_url, job="parts", budget=surefoot.Budget(steps=100)
    )
    again = await surefoot.resume("parts", task=task, model=model, redis=redis_url)
    assert (again.head, again.votes, again.rungs) == (report.head, report.votes, report.rungs)


async def test_repairs_raise_every_lead(redis_url: str) -> None:
    class Strict(Towers):
        """Its audit finds fault with the first try of a segment."""

        tries = 0

        def audit(self, state: TowersState, answer: Any) -> str | None:
            if state[0] is None:
                type(self).tries += 1
                return "once more" if self.tries == 1 else None
            return None

    began: list[int] = []
    report = await surefoot.run(
        Strict(5, "compact"),
        Settings(rule="budget", hardest=0.0),
        model=towers_double(),
        redis=redis_url,
        on_event=lambda event: began.append(event.k) if isinstance(event, SegmentBegan) else None,
    )
    assert (report.repairs, began[1] - began[0]) == (1, 1)


async def test_a_run_that_drifts_says_so_once_and_in_its_report(redis_url: str) -> None:
    notes: list[str] = []

    def listen(event: object) -> None:
        if isinstance(event, Noted):
            notes.append(event.sentence)

    task, settings = Towers(9, "compact"), Settings(states=300, segment=50)
    begun = await surefoot.run(
        task,
        settings,
        model=towers_double(error=0.002),
        redis=redis_url,
        job="d",
        budget=surefoot.Budget(steps=60),
    )
    assert begun.drift is None
    report = await surefoot.resume("d", model=towers_double(error=0.2), redis=redis_url, on_event=listen)
    assert report.drift is not None
    assert [note for note in notes if "not as it was calibrated" in note] == [notes[-1]]


async def test_what_a_budget_cannot_promise_is_unsupported(redis_url: str) -> None:
    with pytest.raises(Unsupported, match="the hardest step is to have"):
        await surefoot.run(Towers(6, "compact"), BUDGET, model=towers_double(error=0.3), redis=redis_url)


async def test_a_limit_below_the_leads_of_a_budget_is_refused_before_the_job_is_made(redis_url: str) -> None:
    settings = Settings(rule="budget", limit=2)
    with pytest.raises(BadInput, match=r"up to \d votes where all agree: limit must be at least that, not 2"):
        await surefoot.run(
            Towers(8, "compact"), settings, model=towers_double(error=0.002), redis=redis_url, job="short"
        )
    assert [job for job in await surefoot.jobs(redis=redis_url) if job.job == "short"] == []


async def test_a_job_with_a_budget_is_resumed_with_no_less_than_its_leads_and_says_what_its_risk_rests_on(
    redis_url: str,
) -> None:
    model, task = towers_double(error=0.01), Towers(8, "compact")
    first = await surefoot.run(
        task, BUDGET, model=model, redis=redis_url, job="low", budget=surefoot.Budget(steps=20)
    )
    most = max(lead[0] for kind in first.kinds for lead in kind.leads)
    assert most > first.k
    with pytest.raises(BadInput, match=f"up to {most} votes where all agree"):
        await surefoot.resume("low", model=model, redis=redis_url, limit=most - 1)
    report = await surefoot.resume("low", model=model, redis=redis_url, limit=100)
    assert report.solved
    assert report.hard is not None
    assert report.hard.why.startswith(
        "The risk holds if on no step more than 10 % of the ballots are wrong: "
    )


async def test_a_budget_and_a_lead_are_not_given_together(redis_url: str) -> None:
    with pytest.raises(BadInput, match="a risk budget finds its own leads"):
        await surefoot.run(Towers(4), Settings(rule="budget", k=3), model=towers_double(), redis=redis_url)
    with pytest.raises(BadInput, match="hardest is a share"):
        Settings(rule="budget", hardest=0.5)
    with pytest.raises(BadInput, match="hardest is a risk budget's"):
        Settings(hardest=0.2)


async def test_leads_that_follow_stakes_are_not_overruled(redis_url: str) -> None:
    class Careful(Towers):
        def lead(self, answer: Any) -> int:
            return 9

    with pytest.raises(BadInput, match="has leads of its own"):
        await surefoot.run(Careful(4, "compact"), BUDGET, model=towers_double(), redis=redis_url)


async def test_a_plan_says_both_what_one_lead_and_what_a_budget_takes() -> None:
    planned = await surefoot.plan(Towers(9, "compact"), BUDGET, model=towers_double(error=0.002))
    assert planned.spending is not None
    assert planned.forecast is not None
    assert planned.spending.budget is planned.rule
    assert planned.forecast.risk <= 0.01 * (1 + 1e-9)
    assert planned.risk_bound is not None
    assert planned.risk_bound > planned.forecast.risk
    for said in ("buys", "however steps differ", "One lead for all: k ="):
        assert said in planned.why
