import random
from functools import partial
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput, NotAnAnswer, Towers
from surefoot.agents.tasks.towers import Form, Style, TowersState
from surefoot.models.base import Message
from surefoot.models.doubles.towers import towers_right
from surefoot.tools.towers import compact
from surefoot.tools.towers.board import Move, optimal_length, optimal_move, optimal_state, random_pegs
from surefoot.voting import InvariantBroken, Reading, RedFlag, Sample, screen

cases = st.tuples(st.integers(1, 20), st.integers(0, 2), st.integers(0, 2**32))
forms = st.sampled_from(["full", "move"])


@given(cases)
def test_every_view_of_every_step_has_the_same_answer(case: tuple[int, int, int]) -> None:
    """The procedure of the prompt, followed in any view and mapped back, is the optimal move: for odd towers too."""
    disks, view, seed = case
    task = Towers(disks, "compact")
    state, right = task.case(random.Random(seed))
    text = towers_right(str(task.ask(state, view)))
    assert task.read(text, state, view) == right
    assert right is not None
    assert task.audit(state, right) is None


@given(cases)
def test_the_three_views_differ(case: tuple[int, int, int]) -> None:
    disks, _, seed = case
    task = Towers(disks, "compact")
    state, _ = task.case(random.Random(seed))
    assert len({task.ask(state, view) for view in range(task.views)}) == 3


@given(st.integers(1, 64), st.integers())
def test_the_compact_text_of_any_board_is_read_back(disks: int, seed: int) -> None:
    rng = random.Random(seed)
    pegs, move = random_pegs(disks, rng), Move(rng.randint(1, disks), 0, 2)
    assert compact.read_answer(compact.answer(move, pegs)) == (move, pegs)
    assert compact.read_move(compact.answer(move)) == move
    assert compact.prompt(pegs, move) == compact.answer(move, pegs) + ">"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aAB",
        "aAB;AbcBaC ",
        " aAB;AbcBaC",
        "aAB;AbcBaC\n",
        "aAB;AbcBa",
        "aAD;AbcBaC",
        "aAB;AbcBaaC",
        "aAB;AbBaC",
        "aAB;AbcBaCd",
        "aAB;AbcBaC;",
        "é",
    ],
)
def test_a_compact_answer_is_read_strictly(text: str) -> None:
    task = Towers(3, "compact")
    with pytest.raises(NotAnAnswer):
        task.read(text, task.start())


def test_the_verbose_prompt_holds_the_procedure_the_previous_move_and_the_board_and_nothing_more() -> None:
    task = Towers(4)
    state = (optimal_move(4, 4), optimal_state(4, 5))
    system, user = task.ask(state)
    assert isinstance(system, Message)
    assert isinstance(user, Message)
    assert "move disk 1 one peg clockwise" in system.content
    assert user.content == "Previous move: [1, 2, 0]\nCurrent board: [[4, 1], [3], [2]]"
    assert task.ask(task.start())[1] == Message(
        "user", "Previous move: none\nCurrent board: [[4, 3, 2, 1], [], []]"
    )


VERBOSE = "I think, therefore:\nmove = [1, 0, 1]\nnext_state = [[3, 2], [1], []]"


@pytest.mark.parametrize(
    "text",
    [
        VERBOSE,
        "move = [2, 0, 2]\nnext_state = [[3], [1], [2]]\nNo, wait.\n" + VERBOSE,
        "**move = [1, 0, 1]**\n`next_state = [[3,2],[1],[]]`",
        "```\nmove = [1,0,1]\nnext_state = [[3, 2], [1], []]\n```",
    ],
)
def test_the_last_lines_in_the_wanted_form_are_the_answer(text: str) -> None:
    task = Towers(3)
    # An odd tower is shown mirrored: the shown peg 1 is the real peg 2.
    assert task.read(text, task.start()) == ((1, 0, 2), ((3, 2), (), (1,)))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("move = [1, 0, 1]", "no line 'next_state"),
        ("next_state = [[3, 2], [1], []]", "no line 'move"),
        ("move = [1, 0]\nnext_state = [[3, 2], [1], []]", "no line 'move"),
        ("move = [1, 0, 3]\nnext_state = [[3, 2], [1], []]", "no such peg"),
        ("move = [1, 0, 1]\nnext_state = [[3, 2], [1]]", "no line 'next_state"),
        ("move = [1, 0, 1]\nnext_state = [[3, 2], [1], []", "no line 'next_state"),
        ("move = [1, 0, 1]\nnext_state = [[3, 2], [1], [1]]", "disks 1 to 3 once each"),
        ("move = [01, 0, 1]\nnext_state = [[3, 2], [1], []]", "not a list of numbers"),
        ("move = [1, 0, 1]\nnext_state = [[3, 02], [1], []]", "not a list of numbers"),
        ("move = [١, 0, 1]\nnext_state = [[3, 2], [1], []]", "not a list of numbers"),
        ("move = [1, 0, 1]\nnext_state = [[3], [1], []]", "disks 1 to 3 once each"),
        ("move = [1, 0, 1]\nnext_state = [[3, 2, 4], [1], []]", "disks 1 to 3 once each"),
    ],
)
def test_a_verbose_answer_is_read_strictly_and_never_repaired(text: str, why: str) -> None:
    task = Towers(3)
    with pytest.raises(NotAnAnswer, match=why):
        task.read(text, task.start())


FIRST, SECOND = "next_state = [[4, 3, 2], [], [1]]", "next_state = [[4, 3, 2], [1], []]"
CORRECTIONS = {
    "V1 a correction in prose": f"move = [1, 0, 2]\n{FIRST}\nWait, no. The correct move = [1, 0, 1]\n{SECOND}",
    "a second board alone": f"move = [1, 0, 2]\n{FIRST}\nNo, it is:\n{SECOND}",
    "a second board at once": f"move = [1, 0, 2]\n{FIRST}\n{SECOND}",
    "a second move alone": f"move = [1, 0, 2]\n{FIRST}\nNo, it is:\nmove = [1, 0, 1]",
    "a second move in other words": f"move = [1, 0, 2]\n{FIRST}\nNo: disk 1 goes to peg 1.",
    "the half of a second board": f"move = [1, 0, 2]\n{FIRST}\nmove = [1, 0, 1]\nnext_state = [[4, 3",
    "a move between words, then a board": f"move = [1, 0, 2]\nSo peg 2? No, peg 1.\n{SECOND}",
    "the board first": f"{SECOND}\nmove = [1, 0, 1]",
    "a move, then a fenced board of another": f"move = [1, 0, 2]\n```\nmove = [1, 0\n```\n{SECOND}",
    "taken back": f"move = [1, 0, 1]\n{SECOND}\nWait, that is wrong.",
}


@pytest.mark.parametrize("text", CORRECTIONS.values(), ids=CORRECTIONS.keys())
def test_an_answer_that_was_corrected_by_half_is_none(text: str) -> None:
    task = Towers(4)
    with pytest.raises(NotAnAnswer, match="in the wanted form where the text should end"):
        task.read(text, task.start())


@pytest.mark.parametrize(
    "text",
    [
        f"move = [1, 0, 2]\n{FIRST}\nWait.\nmove = [1, 0, 1]\n{SECOND}",
        f"move = [1, 0, 2]\n{FIRST}\n\nmove = [1, 0, 1]\n{SECOND}\n",
        f"I must end with\nmove = [disk, from peg, to peg]\nnext_state = [[...], ...]\n\nmove = [1, 0, 1]\n\n{SECOND}",
        f"Like move = [2, 0, 2] in the example.\n```text\nmove = [1, 0, 1]\n{SECOND}\n```\n---",
        f"{FIRST}\n- move = [1, 0, 1]\n- {SECOND}\r\n",
    ],
)
def test_of_several_answers_the_last_whole_one_is_read(text: str) -> None:
    task = Towers(4)
    assert task.read(text, task.start()) == ((1, 0, 1), ((4, 3, 2), (1,), ()))


@pytest.mark.parametrize("after", ["Wait, that is wrong.", "The correct move = [1, 0, 1]", "move = [1, 0"])
def test_a_move_that_is_gone_on_from_is_no_answer_either(after: str) -> None:
    task = Towers(4, form="move")
    assert task.read("move = [1, 0, 2]\n```\n", task.start()) == ((1, 0, 2), None)
    with pytest.raises(NotAnAnswer):
        task.read(f"move = [1, 0, 2]\n{after}", task.start())


@pytest.mark.parametrize("disks", [3, 4])
@pytest.mark.parametrize("form", ["full", "move"])
def test_a_chat_model_that_follows_the_procedure_solves_it(disks: int, form: str) -> None:
    """The verbose style end to end: an answer written by the rules in the prompt, in each view in turn."""
    task = Towers(disks, "verbose", form)  # type: ignore[arg-type]
    compactly = Towers(disks, "compact", form)  # type: ignore[arg-type]
    state = task.start()
    for step in range(optimal_length(disks)):
        view = step % 3
        text = towers_right(str(compactly.ask(state, view)))
        move = compact.read_move(text[:3])
        shown = compact.read_answer(text)
        lines = [f"move = {list(move or ())}"]
        if shown is not None:
            lines.append(f"next_state = {[list(peg) for peg in shown[1]]}")
        state = task.advance(state, task.read("\n".join(lines), state, view))
    assert task.solved(state)


def test_illegal_and_inconsistent_answers_are_flagged_only_if_asked_and_counted_apart() -> None:
    illegal = "cAB;AabBcC"
    inconsistent = "aAB;AbcBCa"
    for text, reason in ((illegal, "illegal"), (inconsistent, "inconsistent")):
        for checked in (False, True):
            task = Towers(3, "compact", checked=checked)
            state = task.start()
            outcome = screen(Reading(Sample(text), partial(task.read, state=state), state), task.flags)
            assert isinstance(outcome, RedFlag) == checked
            if isinstance(outcome, RedFlag):
                assert outcome.reason == reason
            else:
                assert task.audit(state, outcome)


def test_the_move_only_form_always_checks_legality() -> None:
    task = Towers(3, "compact", "move")
    state = task.start()
    outcome = screen(Reading(Sample("bAB"), lambda text: task.read(text, state), state), task.flags)
    assert isinstance(outcome, RedFlag)
    assert outcome.reason == "illegal"
    assert task.advance(state, task.read("aAB", state)) == ((1, 0, 2), ((3, 2), (), (1,)))


def test_a_full_answer_is_carried_on_as_it_was_written() -> None:
    """No simulator: the next state is the winner's own, even where the board would disagree."""
    task = Towers(3, "compact")
    answer = task.read("aAB;AbcBCa", task.start())
    assert task.advance(task.start(), answer)[1] == answer[1]
    assert not task.solved((None, ((), (), (1, 2, 3))))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"disks": 0}, "not 0"),
        ({"disks": 65}, "not 65"),
        ({"style": "loud"}, "'loud'"),
        ({"form": "x"}, "'x'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Towers(**options)  # type: ignore[arg-type]


def test_flags_are_part_of_the_task_and_no_more_than_asked_for() -> None:
    assert not any(isinstance(flag, InvariantBroken) for flag in Towers(3).flags.flags)  # type: ignore[attr-defined]


@given(st.integers(1, 10), st.integers(0, 2), forms, st.integers(0, 2**32))
def test_the_guess_is_what_a_right_sample_looks_like_in_every_view(
    disks: int, view: int, form: Form, seed: int
) -> None:
    task = Towers(disks, "compact", form)
    state, right = task.case(random.Random(seed))
    assert right is not None
    guess = task.guess(state, task.advance(state, right), view)
    assert guess == towers_right(str(task.ask(state, view)))


@given(cases, forms)
def test_a_guess_is_read_back_as_the_state_it_was_made_from(case: tuple[int, int, int], form: Form) -> None:
    """Off the optimal path too: any board, any legal move."""
    disks, view, seed = case
    rng = random.Random(seed)
    task = Towers(disks, "compact", form)
    state: TowersState = None, random_pegs(disks, rng)
    moves = [
        Move(disk, source, target)
        for disk in range(1, disks + 1)
        for source, target in permutations(range(3), 2)
    ]
    after = rng.choice([after for move in moves if (after := task.unfold(state, move)) is not None])
    text = task.guess(state, after, view)
    assert text is not None
    answer = task.read(text, state, view)
    assert task.advance(state, answer) == after
    assert task.unfold(state, task.gist(state, after)) == after


def test_nothing_is_guessed_where_the_model_may_think_first_or_nothing_was_moved() -> None:
    talkative, task = Towers(3), Towers(3, "compact")
    after = task.advance(task.start(), task.read("aAB;AbcBaC", task.start()))
    assert task.guess(task.start(), after) == "aAB;AbcBaC"
    assert talkative.guess(talkative.start(), after) is None
    assert task.guess(task.start(), task.start()) is None


@given(cases, st.booleans())
def test_the_short_form_advances_to_the_same_states(case: tuple[int, int, int], checked: bool) -> None:
    disks, _, seed = case
    task = Towers(disks, "compact", checked=checked)
    short = task.short()
    state, right = task.case(random.Random(seed))
    assert right is not None
    assert short.advance(state, short.read(towers_right(str(short.ask(state))), state)) == task.advance(
        state, right
    )


@pytest.mark.parametrize("style", ["verbose", "compact"])
def test_the_short_form_asks_in_the_same_style_and_a_short_task_is_its_own(style: Style) -> None:
    short = Towers(5, style).short()
    assert short.spec() == {"disks": 5, "style": style, "form": "move", "checked": False}
    assert short.short() is short


def test_a_move_that_the_board_refuses_unfolds_to_nothing() -> None:
    task = Towers(3)
    assert task.unfold(task.start(), Move(2, 0, 1)) is None
    assert task.unfold(task.start(), Move(1, 0, 0)) is None


@given(st.integers(1, 8), st.integers(0, 2**32))
def test_several_steps_asked_at_once_are_read_as_the_states_they_lead_to(disks: int, seed: int) -> None:
    """The answer is written by the procedure in the prompt, from what the prompt shows, and nothing else."""
    task = Towers(disks)
    state, _ = task.case(random.Random(seed))
    prompt = task.ask_ahead(state, 5)
    assert isinstance(prompt, tuple)
    system, user = prompt
    assert "the next 5 moves" in system.content
    assert user == task.ask(state)[1]
    short, expected = Towers(disks, "compact", "move"), [state]
    lines: list[str] = []
    while len(lines) < 5 and not task.finished(expected[-1]):
        text = towers_right(str(short.ask(expected[-1])))
        lines.append(f"move = {list(compact.read_move(text) or ())}")
        expected.append(short.advance(expected[-1], short.read(text, expected[-1])))
    assert task.read_ahead("\n".join(lines), state) == expected[1:]


def test_the_first_illegal_move_ends_what_is_read_ahead() -> None:
    task = Towers(4)
    text = "move = [1, 0, 1]\nmove = [2, 0, 2]\nmove = [4, 0, 1]\nmove = [1, 1, 2]"
    states = task.read_ahead(text, task.start())
    assert [state[0] for state in states] == [(1, 0, 1), (2, 0, 2)]
    assert task.read_ahead("move = [2, 0, 1]", task.start()) == []


def test_a_model_may_think_before_it_writes_its_moves() -> None:
    task = Towers(4)
    text = "Not move = [4, 0, 1], and not\nmove = [3, 0, 1]\nbut:\n```\nmove = [1, 0, 1]\n\n**move = [2, 0, 2]**\n```\n"
    assert [state[0] for state in task.read_ahead(text, task.start())] == [(1, 0, 1), (2, 0, 2)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "```",
        "[1, 0, 1]",
        "move = [1, 0]",
        "move = [1, 0, 1] move = [2, 0, 2]",
        "move = [1, 0, 1]\nThat is all.",
        "move = [1, 0, 1]\nmove = [2, 0, ",
        "move = [1, 0, 1]\nmove = [2, 0, 3]",
        "move = [01, 0, 1]",
        "move = [1, 0, -1]",
    ],
)
def test_moves_ahead_are_read_strictly(text: str) -> None:
    task = Towers(4)
    with pytest.raises(NotAnAnswer):
        task.read_ahead(text, task.start())


def test_a_micro_model_is_not_asked_for_several_steps() -> None:
    task = Towers(4, "compact")
    assert task.ask_ahead(task.start(), 8) is None
