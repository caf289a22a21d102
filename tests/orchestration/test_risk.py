"""What a run and its report say about risk: never more than they know."""

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import surefoot
from surefoot import Case, Columns, Settings, Task, Towers
from surefoot.agents.patterns import WithPattern
from surefoot.agents.tasks import PartOf
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.own_audit import has_audit
from surefoot.agents.tasks.task import Value
from surefoot.cli.display import forecast_table, page
from surefoot.cli.terminal import Terminal
from surefoot.models.base import Message, Prompt
from surefoot.models.doubles import Double, towers_double
from surefoot.orchestration.events import Noted
from surefoot.orchestration.progress import Progress
from surefoot.orchestration.reporting import shown
from surefoot.voting import RiskBudget
from surefoot.voting.choice import states_to_promise
from surefoot.voting.reliability import dissent_bound, dissent_risk

FACTORS = ("8391657240981536472093", "7164093825519038274615")


class OneView(Columns):
    """Columns asked in one way alone, so that the mistakes of a step agree, and without its own check, which would find them."""

    views = 1

    def audit(self, state: object, answer: object) -> None:
        return None


def sums(**chances: float) -> Double:
    """A model whose wrong answers to one prompt all agree."""

    def right(prompt: Prompt) -> str:
        message = prompt[-1]
        assert isinstance(message, Message)
        a, _, b, _, digit, _, carry = message.content.split()
        return f"{int(a) * int(b) + int(digit) + int(carry):02d}"

    return Double(right, lambda prompt, _: f"{(int(right(prompt)) + 1) % 100:02d}", **chances)  # type: ignore[arg-type]


def printed(report: surefoot.Report) -> str:
    shown = io.StringIO()
    Terminal(file=shown).page(page(report, "surefoot show x"))
    return shown.getvalue()


@pytest.mark.parametrize(
    ("hard", "hard_error"),
    [pytest.param(0.005, 0.4, id="R1"), (0.001, 0.6), (0.0, 0.0), (0.05, 0.9)],
)
async def test_a_risk_computed_from_a_mean_says_that_it_holds_if_steps_are_alike(
    redis_url: str, hard: float, hard_error: float
) -> None:
    model = sums(error=0.002, hard=hard, hard_error=hard_error)
    progress = Progress()
    report = await surefoot.run(
        OneView(FACTORS), Settings(reliability=0.99), model=model, redis=redis_url, on_event=progress.listen
    )
    assert report.steps == 484
    assert report.hard is not None
    assert report.hard.steps_bound is not None
    # 500 states without a hard one leave room for 0.6 %: the job's 484 steps may hold some, whatever the mean says.
    assert report.hard.steps_bound > 2.5
    assert "The risk holds if steps are alike" in report.hard.why
    assert progress.notes == [note for note in progress.notes if report.hard.why in note] != []
    assert report.hard.why in printed(report)
    assert "predicted if steps are alike" in printed(report)


async def test_the_hard_states_that_calibration_met_are_named_by_the_run_and_the_report(
    redis_url: str,
) -> None:
    """H2: `plan` named 31 hard steps, and `run` did not."""
    task = OneView(FACTORS)
    model = sums(error=0.01, hard=0.1, hard_error=0.95, seed=2)
    planned = await surefoot.plan(task, Settings(reliability=0.9), model=model)
    progress = Progress()
    report = await surefoot.run(
        task, Settings(reliability=0.9), model=model, redis=redis_url, on_event=progress.listen
    )
    assert planned.calibration.hard > 10
    assert report.hard is not None
    assert (report.hard.found, report.hard.judged) == (planned.calibration.hard, planned.calibration.judged)
    assert report.hard.steps_bound == pytest.approx(planned.choice.hard_steps_bound)
    assert progress.notes == [planned.why]
    assert len(report.hard.states) == 5
    for state in report.hard.states:
        assert "of 3 valid samples agree" in state
        assert state in printed(report)


class Unchecked(Task[int, int]):
    """Counts up, without a check of its own."""

    name = "unchecked"

    def spec(self) -> dict[str, Value]:
        return {}

    def start(self) -> int:
        return 0

    def ask(self, state: int, view: int = 0) -> str:
        return f"{state}"

    def read(self, text: str, state: int, view: int = 0) -> int:
        return int(text)

    def advance(self, state: int, answer: int) -> int:
        return answer

    def finished(self, state: int) -> bool:
        return state == 5000

    def steps(self) -> int:
        return 5000

    def case(self, rng: random.Random) -> Case[int, int]:
        state = rng.randrange(5000)
        return Case(state, state + 1)


def test_a_check_of_a_tasks_own_is_found_through_what_is_around_it() -> None:
    assert has_audit(Towers(4))
    assert has_audit(guarded(PartOf(Towers(4), 0, 2)))
    assert has_audit(OneView(FACTORS))
    assert not has_audit(Unchecked())
    assert not has_audit(guarded(Unchecked()))
    assert not has_audit(WithPattern(Unchecked(), "table"))


async def test_a_plan_says_what_would_make_it_surer_and_what_that_costs() -> None:
    counts = Double(lambda prompt: str(int(prompt) + 1), lambda prompt, _: "0")
    planned = await surefoot.plan(Unchecked(), model=counts, price=surefoot.Price(1.0, 2.0))
    audit, views, model, states = planned.purchases
    assert (audit.what, audit.samples, audit.seconds) == ("audit", 0, None)
    assert "which the task does not have" in audit.detail
    assert planned.choice.k is not None
    assert [(each.what, each.samples_per_step) for each in (views, model)] == [
        ("views", planned.choice.k),
        ("model", planned.choice.k),
    ]
    assert planned.choice.states_to_promise is not None
    assert states.samples == 3 * planned.choice.states_to_promise
    assert states.seconds is not None
    assert states.cost is not None
    assert states.risk_bound == pytest.approx(0.01, rel=0.01)
    shown = io.StringIO()
    Terminal(file=shown).page(forecast_table(planned))
    assert f"{states.samples:,} samples, {states.tokens:,.0f} tokens" in shown.getvalue()
    assert "a check of every step, an `audit`, which the task does not have: no samples" in shown.getvalue()


async def test_a_check_that_the_task_has_is_timed_and_its_ladder_is_not_bought_twice() -> None:
    ladder = surefoot.Ladder(("views", "model=http://127.0.0.1:1/v1"))
    planned = await surefoot.plan(Towers(12, "compact"), Settings(ladder=ladder), model=towers_double())
    audit, states = planned.purchases
    assert "which each run makes" in audit.detail
    assert audit.seconds is not None
    assert audit.seconds > 0
    assert states.what == "states"


async def test_states_that_a_task_has_not_are_no_purchase() -> None:
    planned = await surefoot.plan(Towers(8, "compact"), model=towers_double())
    assert planned.calibration.states == 255
    assert [each.what for each in planned.purchases] == ["audit", "views", "model"]


async def test_a_job_that_is_promised_what_was_asked_for_buys_nothing() -> None:
    planned = await surefoot.plan(Towers(3, "compact"), model=towers_double())
    assert planned.risk_bound is not None
    assert planned.risk_bound <= 0.01
    assert planned.purchases == ()
    assert planned.why == planned.choice.why


async def test_a_budget_buys_by_its_own_leads() -> None:
    budget = Settings(rule="budget", states=3000)
    planned = await surefoot.plan(Towers(12, "compact"), budget, model=towers_double())
    assert isinstance(planned.rule, RiskBudget)
    *_, states = planned.purchases
    needed = states_to_promise(planned.calibration, planned.rule.most, planned.steps, planned.reliability)
    assert states.samples == 3 * needed


async def test_a_run_whose_k_was_given_has_no_calibration_to_speak_of(redis_url: str) -> None:
    report = await surefoot.run(Towers(4, "compact"), Settings(k=2), model=towers_double(), redis=redis_url)
    assert report.hard is None
    assert report.risk is None
    assert "not calibrated" in printed(report)


async def test_at_k_1_dissent_tells_nothing(redis_url: str) -> None:
    """R2: with k = 1 the report said "0 from the run's own dissent"."""
    progress = Progress()
    report = await surefoot.run(
        Towers(4, "compact"),
        Settings(k=1),
        model=towers_double(error=0.02),
        redis=redis_url,
        on_event=progress.listen,
    )
    assert report.votes == 15
    assert (report.dissent_bound, report.risk_measured) == (None, None)
    assert progress.measured is None
    assert "at k = 1 no vote can dissent" in printed(report)


async def test_a_job_without_steps_says_so_and_speaks_of_no_runner(redis_url: str) -> None:
    class Done(Towers):
        name = "done"

        def finished(self, state: object) -> bool:
            return True

        def steps(self) -> int:
            return 0

        def solved(self, state: object) -> bool:
            return True

    report = await surefoot.run(Done(3, "compact"), Settings(k=2), model=towers_double(), redis=redis_url)
    assert (report.solved, report.steps) == (True, 0)
    assert "nothing, no step is decided" in printed(report)
    assert "not calibrated; no votes yet" in printed(report)
    assert "being run" not in printed(report)


@pytest.mark.parametrize(
    ("answer", "words", "told"),
    [(16, "16", "16"), (16, "sixteen", "sixteen 16"), ("2 p", "2 p", '"2 p"'), ("2", "two", 'two "2"')],
)
def test_an_answer_is_told_once_where_the_task_has_no_other_words_for_it(
    answer: object, words: str, told: str
) -> None:
    class Counting(Towers):
        answer_codec = surefoot.Task.answer_codec  # plain values, as they are

        def show(self, answer: object) -> str:
            return words

    assert shown(Counting(3), answer) == told


async def test_a_unanimous_run_has_an_upper_bound_and_no_zero(redis_url: str) -> None:
    """Rule of three: of 189 votes 126 could have dissented."""
    report = await surefoot.run(Towers(6, "compact"), Settings(k=3), model=towers_double(), redis=redis_url)
    assert (report.contested, report.dissent_rate) == (0, 0)
    assert report.dissent_bound == pytest.approx(3 / 126, rel=0.02)
    assert report.risk_measured == dissent_risk(0, 189, 3, 63) > 0


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("error", [0.001, 0.02, 0.1, 0.25])
def test_the_bound_from_dissent_covers_the_true_rate_where_mistakes_are_independent(
    k: int, error: float
) -> None:
    rng = random.Random(k)
    covered = 0
    for _ in range(200):
        votes = dissent = 0
        for _ in range(60):
            right = wrong = 0
            while abs(right - wrong) < k:
                if rng.random() < error:
                    wrong += 1
                else:
                    right += 1
            votes, dissent = votes + right + wrong, dissent + min(right, wrong)
        bound = dissent_bound(dissent, votes, k)
        assert bound is not None
        covered += bound >= error
    assert covered >= 180  # 190 of 200 are promised, and 180 fewer have a chance of 1e-3 then


@settings(max_examples=50)
@given(st.integers(1, 9), st.integers(0, 10_000), st.data())
def test_the_bound_from_dissent_is_a_probability_or_nothing(k: int, votes: int, data: st.DataObject) -> None:
    dissent = data.draw(st.integers(0, votes // 2))
    bound = dissent_bound(dissent, votes, k)
    if bound is None:
        assert votes == 0 or k == 1
    else:
        assert dissent / votes <= bound <= 1


async def test_a_model_that_was_not_calibrated_is_never_silent(redis_url: str) -> None:
    notes: list[str] = []

    def listen(event: object) -> None:
        if isinstance(event, Noted):
            notes.append(event.sentence)

    async def go_on(name: str) -> surefoot.Report:
        return await surefoot.resume(
            "m",
            model=towers_double(name=name),
            redis=redis_url,
            budget=surefoot.Budget(steps=5),
            on_event=listen,
        )

    few = surefoot.Budget(steps=5)
    begun = Settings(states=200)
    await surefoot.run(
        Towers(6, "compact"), begun, model=towers_double(name="first"), redis=redis_url, job="m", budget=few
    )
    same = await go_on("first")
    assert (notes, "calibrated with" in printed(same)) == ([], False)
    other = await go_on("second")
    assert any("was calibrated with first, and second answers now" in note for note in notes)
    assert "(calibrated with first alone)" in printed(other)
