"""The double of decomposed runs: each stage answered, wrongly as often as it should be, and differently each time."""

import pytest

from surefoot import BadInput
from surefoot.models.base import Ask, Message
from surefoot.models.doubles import Repair, Repairer

REPAIR = Repair(
    issue="Sums are differences",
    places=("sums.py::add",),
    tests=("def test_issue(): assert add(1, 1) == 2\n",),
    patch="sums.py\n<<<<<<< SEARCH\n    return a - b\n=======\n    return a + b\n>>>>>>> REPLACE\n",
    wrong_tests=("def test_issue(): assert add(1, 1) == 3\n", "def test_issue(): pass\n"),
    wrong_patches=tuple(f"wrong patch {number}" for number in range(5)),
)
QUESTIONS = {
    "files": "a.py (10)\nsums.py (1,200): add\nz.py (3)\n```files\n",
    "places": "=== a.py\n=== end of a.py\n=== sums.py\n=== end of sums.py\n```places\n",
    "python": "```python\n",
    "patch": "    return a - b\n",
}
RIGHT = {"files": "\nsums.py\n", "places": "\nsums.py::add\n", "python": "== 2\n", "patch": REPAIR.patch}


def said(model: Repairer, what: str, seed: int = 0, tokens: int = 1_000) -> str:
    prompt = (Message("system", "Resolve it."), Message("user", f"{REPAIR.issue}\n{what}"))
    return model.draw(Ask(prompt, 0.7, tokens, seed)).text


@pytest.mark.parametrize("stage", QUESTIONS)
def test_each_stage_is_wrong_as_often_as_it_should_be(stage: str) -> None:
    samples = [said(Repairer([REPAIR], error=0.3), QUESTIONS[stage], seed) for seed in range(400)]
    wrong = [text for text in samples if RIGHT[stage] not in text]
    assert 90 <= len(wrong) <= 150
    assert len(set(wrong)) > 1 or stage == "places"
    assert [said(Repairer([REPAIR], error=0.3), QUESTIONS[stage], seed) for seed in range(400)] == samples
    assert all(RIGHT[stage] in said(Repairer([REPAIR]), QUESTIONS[stage], seed) for seed in range(20))


def test_texts_of_right_answers_differ() -> None:
    model = Repairer([REPAIR])
    assert len({said(model, QUESTIONS["python"], seed) for seed in range(20)}) == 20


def test_who_has_not_seen_the_lines_cannot_write_the_patch() -> None:
    assert said(Repairer([REPAIR]), "    return a * b\n").endswith(REPAIR.wrong_patches)


def test_an_issue_that_it_does_not_know_is_not_resolved() -> None:
    assert Repairer([]).draw(Ask("what?", 0.0, 100, 0)).text == "I do not know this repository."


def test_it_is_cut_off_at_the_limit() -> None:
    sample = Repairer([REPAIR]).draw(Ask(REPAIR.issue + QUESTIONS["patch"], 0.0, 5, 0))
    assert (len(sample.text), sample.finish, sample.tokens) == (20, "length", 5)


def test_a_file_that_is_not_there_yet_is_a_place() -> None:
    absent = "=== sums.py does not exist yet\n```places\n"
    assert {said(Repairer([REPAIR], error=1.0), absent, seed) for seed in range(9)} == {
        "```places\nsums.py\n```"
    }
    assert RIGHT["places"] in said(Repairer([REPAIR]), absent)
    assert "```" not in said(Repairer([REPAIR]), "```places\n")


async def test_it_answers_every_ask_and_has_a_name() -> None:
    model = Repairer([REPAIR], name="mine")
    asks = [Ask(REPAIR.issue + QUESTIONS["patch"], 0.7, 100, seed) for seed in (3, 4)]
    assert [(position, sample) async for position, sample in model.sample(asks)] == [
        (position, model.draw(ask)) for position, ask in enumerate(asks)
    ]
    assert model.name == "mine"


@pytest.mark.parametrize("error", [-0.1, 1.1])
def test_a_chance_is_one(error: float) -> None:
    with pytest.raises(BadInput, match="chance"):
        Repairer([REPAIR], error=error)
