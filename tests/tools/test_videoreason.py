"""VideoReasonBench made anew: the rules, the frames, the questions, and scorers that compare exactly."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from surefoot import BadInput, NotAnAnswer
from surefoot.tools.puzzles.puzzle import NoMove
from surefoot.tools.videoreason import (
    DEMOS,
    Demo,
    Episode,
    Style,
    Video,
    VideoQuestion,
    answers,
    demo_named,
    draw_operation,
    draw_state,
    frames_of,
    questions_about,
    replays,
    save_frames,
    save_video,
    video_of,
)
from surefoot.tools.videoreason.asked import Shown, ordinal
from surefoot.tools.videoreason.episode import BLOCK
from surefoot.tools.videoreason.files import Command

ENDS: tuple[Shown, ...] = ("start", "end")
BOARD = ((1, 2, 3), (4, 0, 5), (6, 7, 8))


@st.composite
def episodes(draw: st.DrawFn, most: int = 40) -> Episode:
    demo = DEMOS[draw(st.sampled_from(sorted(DEMOS)))]
    size = draw(st.sampled_from(list(demo.sizes)[:4]))
    return Episode(demo.name, size, draw(st.integers(1, most)), draw(st.integers(0, 2**32)))


# The rules.


@given(episodes())
def test_what_is_drawn_is_legal_and_replays_to_the_same_states(episode: Episode) -> None:
    state = episode.state(0)
    for number, (before, operation) in enumerate(episode):
        assert before == state == episode.state(number)
        state = episode.demo.after(state, operation)
        assert hash(state) == hash(state) and hash(operation) == hash(operation)
    assert state == episode.state(episode.operations)


@given(episodes())
def test_operations_and_states_are_read_back_as_they_were_written(episode: Episode) -> None:
    demo = episode.demo
    for state, operation in episode:
        assert demo.read_operation(demo.write_operation(operation)) == operation
        assert demo.read_state(demo.write_state(state)) == state


@given(episodes(), st.data())
def test_a_text_with_one_character_changed_is_another_state_or_none(
    episode: Episode, data: st.DataObject
) -> None:
    text = episode.demo.write_state(episode.state(0))
    place = data.draw(st.integers(0, len(text) - 1))
    changed = f"{text[:place]}{data.draw(st.characters(codec='ascii'))}{text[place + 1 :]}"
    try:
        read = episode.demo.read_state(changed)
    except NotAnAnswer:
        return
    assert episode.demo.write_state(read) == changed


def test_an_episode_is_the_same_from_anywhere_and_keeps_little() -> None:
    episode = Episode("circle", 4, 3 * BLOCK + 10, 7)
    late = episode.step(3 * BLOCK + 9)
    steps = list(Episode("circle", 4, 3 * BLOCK + 10, 7))
    assert steps[-1] == late and [episode.step(number) for number in range(len(steps))] == steps
    assert Episode("circle", 4, 5, 7).step(4) == steps[4]
    assert Episode("circle", 4, 5, 8).step(4) != steps[4]
    assert len(episode._starts) == 4 and episode._block.cache_info().maxsize == 2


@pytest.mark.parametrize("name", sorted(DEMOS))
def test_a_long_episode_stays_within_bounds(name: str) -> None:
    episode = Episode(name, DEMOS[name].sizes[-1], 5_000, 1)
    longest = max(len(episode.demo.write_state(state)) for state, _ in episode)
    assert longest < 2_000
    assert len({operation for _, operation in episode}) > 3


def test_a_number_tile_slides_into_the_gap() -> None:
    number = DEMOS["number"]
    assert number.after(BOARD, ("up",)) == ((1, 2, 3), (4, 7, 5), (6, 0, 8))
    assert number.after(BOARD, ("left",)) == ((1, 2, 3), (4, 5, 0), (6, 7, 8))
    with pytest.raises(NoMove, match="'left' is illegal"):
        number.after(((1, 0), (2, 3)), ("left",))


def test_the_circle_flips_what_it_enters_and_its_neighbours() -> None:
    circle = DEMOS["circle"]
    state = ((0, 0, 0), (0, 1, 0), (0, 0, 0)), (2, 0)
    assert circle.after(state, ("right",)) == (((0, 0, 0), (0, 0, 0), (1, 1, 1)), (2, 1))
    with pytest.raises(NoMove, match="would leave the board"):
        circle.after(state, ("down",))


def test_cups_are_swapped_with_their_coins() -> None:
    cup = DEMOS["cup"]
    assert cup.after(((1, 0), (0, 0)), cup.read_operation("b2,a1")) == ((0, 0), (0, 1))
    for illegal in (((0, 0), (0, 0)), ((0, 0), (2, 0)), ((0, 0), (-1, 0))):
        with pytest.raises(NoMove, match="two cups of the board"):
            cup.after(((1, 0), (0, 0)), illegal)


def test_commands_do_what_a_shell_does() -> None:
    files = DEMOS["files"]
    state = (("a.txt", "b.py"), ("c.csv",))

    def after(line: str) -> Any:
        return files.after(state, files.read_operation(line))

    assert after("touch path1/{b.py,a.txt}") == (("a.txt", "b.py"), ("a.txt", "b.py", "c.csv"))
    assert after("rm -rf path0/{a.txt}") == (("b.py",), ("c.csv",))
    assert after("cp path0/{b.py} path1/") == (("a.txt", "b.py"), ("b.py", "c.csv"))
    assert after("mv path1/{c.csv} path0/") == (("a.txt", "b.py", "c.csv"), ())
    for line in (
        "touch path0/{a.txt}",
        "rm -rf path1/{a.txt}",
        "mv path0/{c.csv} path1/",
        "cp path0/{a.txt} path0/",
    ):
        with pytest.raises(NoMove):
            after(line)
    with pytest.raises(NoMove, match="is in path1"):
        files.after((("c.csv",), ("c.csv",)), Command("mv", ("c.csv",), 0, 1))


def test_cards_go_onto_the_top_and_leave_from_the_bottom() -> None:
    cards = DEMOS["cards"]
    state = (("6H", "KC"), ())
    assert cards.write_state(state) == "pile0: KC, 6H; pile1: empty"
    assert cards.after(state, ("add", "10S", 0)) == (("6H", "KC", "10S"), ())
    assert cards.after(state, ("remove", "6H", 0)) == (("KC",), ())
    for illegal in (
        ("remove", "KC", 0),
        ("remove", "6H", 1),
        ("add", "6H", 1),
        ("add", "1H", 0),
        ("add", "2H", 2),
    ):
        with pytest.raises(NoMove):
            cards.after(state, illegal)


def test_chips_are_removed_only_where_they_are() -> None:
    chips = DEMOS["chips"]
    state = ((5, 20), (100,))
    assert chips.after(state, ("add", 10, 0)) == ((5, 10, 20), (100,))
    assert chips.after(state, ("remove", 100, 1)) == ((5, 20), ())
    for illegal in (("remove", 100, 0), ("add", 25, 0), ("add", 5, 2), ("take", 5, 0)):
        with pytest.raises(NoMove):
            chips.after(state, illegal)


def test_what_cannot_be_made_is_refused_in_a_sentence() -> None:
    with pytest.raises(BadInput, match=r"no demo 'chess': it is one of number, circle"):
        demo_named("chess")
    with pytest.raises(BadInput, match="size of cup is 2 to 9, not 10"):
        Episode("cup", 10, 5, 0)
    with pytest.raises(BadInput, match="1 to 10,000,000 operations, not 0"):
        Episode("cup", 3, 0, 0)
    with pytest.raises(BadInput, match="at least 1 operation"):
        Video(DEMOS["cup"], [()], [], "start")


READERS: dict[str, Callable[[str], Any]] = {
    **{f"{name}.operation": demo.read_operation for name, demo in DEMOS.items()},
    **{f"{name}.state": demo.read_state for name, demo in DEMOS.items()},
}
SCORED: dict[str, Callable[[str], Any]] = {
    "board": answers.board_values(),
    "cells": answers.counted_cells,
    "coins": answers.coin_cells,
    "tiles": answers.moved_tiles,
    "directions": answers.listed_directions,
    "cups": answers.swapped_cups,
    "files": answers.file_names,
    "counted files": answers.counted_files,
    "commands": answers.ordered_commands,
    "cards": answers.ordered_cards,
    "dealt": answers.dealt_cards,
    "put": answers.put_chips,
    "chips": answers.counted_chips,
    "worth": answers.worth,
    "number": lambda text: replays.number_reached(text, BOARD),
    "circle": lambda text: replays.circle_reached(text, (((0, 0), (0, 0)), (0, 0))),
    "swaps": lambda text: replays.cup_reached(text, ((0, 1), (0, 0))),
    "shell": lambda text: replays.files_reached(text, ((), ()), 0),
    "deal": lambda text: replays.cards_reached(text, ((), ()), 0),
    "bet": lambda text: replays.chips_reached(text, ((), ()), 0),
}
SIZES = (8_192, 65_536)
PIECES = (
    "(a,1): 3, ", "a1,", "1st: ", "1st: touch path0/{", "touch path0/{a.txt,", "(", "9", "٣", "a.txt, ", "6 of Hearts, ",
    "add 6 of Hearts to pile0, ", "add 5 to cup0, ", "pile0: ", "path0: a.txt, ", "; ", " ", "\n", "up ", "upp", "-", "start ",
    "(a,0): black; circle (", "(a1, b2), ", "9" * 50, "\0", "{", "none ", "or ", "1/", "*:", "_", "1st:", "equal ",
)  # fmt: skip


@pytest.mark.parametrize("name", [*READERS, *SCORED])
def test_a_reader_takes_hostile_texts_in_linear_time(name: str, slope: Callable[..., float]) -> None:
    read = (READERS | SCORED)[name]

    def refused(text: str) -> None:
        try:
            hash(read(text))
        except NotAnAnswer as error:
            assert len(str(error)) < 1_000

    def seconds(piece: str) -> float:
        begun = time.thread_time()
        refused(piece * (SIZES[-1] // len(piece)))
        return time.thread_time() - begun

    for piece in PIECES:
        refused(piece)
    for slowest in sorted(PIECES, key=seconds)[-2:]:
        grown = slope(refused, lambda size, piece=slowest: piece * (size // len(piece)), SIZES)
        assert grown < 1.3, slowest  # what is quadratic has 2


@given(st.sampled_from([*READERS.values(), *SCORED.values()]), st.text())
def test_a_reader_reads_any_text_or_says_that_it_is_no_answer(read: Callable[[str], Any], text: str) -> None:
    with suppress(NotAnAnswer):
        hash(read(text))


# Frames.


def small(image: Image.Image) -> Image.Image:
    return image.resize((96, 96), Image.Resampling.BILINEAR)


def difference(one: Image.Image, other: Image.Image) -> int:
    """How many of the pixels differ clearly."""
    grey = ImageChops.difference(one, other).convert("L")
    return sum(count for value, count in enumerate(grey.histogram()) if value > 24)


def operations_of(demo: Demo[Any, Any], state: Any, rng: random.Random) -> list[Any]:
    return sorted({demo.draw(state, rng) for _ in range(60)})


@pytest.mark.parametrize("name", sorted(DEMOS))
@pytest.mark.parametrize("small_size", [True, False])
def test_frames_of_different_operations_differ_at_96_pixels(name: str, small_size: bool) -> None:
    demo, rng = DEMOS[name], random.Random(name)
    size = demo.sizes[0] if small_size else min(demo.sizes[-1], 4)
    state = demo.start(size, rng)
    style = Style.drawn(rng)
    frames = [
        small(draw_operation(demo, state, each, style=style)) for each in operations_of(demo, state, rng)
    ]
    assert len(frames) > 1
    least = min(difference(one, other) for place, one in enumerate(frames) for other in frames[:place])
    assert least >= (1 if name == "files" else 20)


@given(episodes(5), st.integers(32, 300), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_every_frame_can_be_drawn_in_every_style(episode: Episode, size_px: int, seed: int) -> None:
    style = Style.drawn(random.Random(seed))
    for frame in frames_of(episode, "end"):
        assert (frame.mode, frame.size) == ("RGB", (160, 160))
    state, operation = episode.step(0)
    frame = draw_operation(episode.demo, state, operation, size_px, style)
    assert frame.size == (size_px, size_px)
    assert frame.tobytes() == draw_operation(episode.demo, state, operation, size_px, style).tobytes()


def test_the_frame_of_an_operation_does_not_show_the_state() -> None:
    for name, one, other, operation in (
        ("number", ((1, 2), (3, 0)), ((3, 1), (2, 0)), ("down",)),
        ("circle", (((0, 0), (0, 0)), (0, 0)), (((1, 1), (0, 1)), (0, 0)), ("down",)),
        ("cup", ((1, 0), (0, 0)), ((0, 1), (1, 1)), ((0, 0), (1, 1))),
        ("cards", (("6H",),), (("6H", "KC", "2S"),), ("remove", "6H", 0)),
        ("chips", ((5,),), ((5, 10, 100),), ("remove", 5, 0)),
        ("files", (("a.py",),), (("a.py", "b.py"),), Command("rm", ("a.py",), 0, 0)),
    ):
        demo = DEMOS[name]
        assert (
            draw_operation(demo, one, operation).tobytes() == draw_operation(demo, other, operation).tobytes()
        )
        assert draw_state(demo, one).tobytes() != draw_state(demo, other).tobytes()


def test_a_frame_is_not_drawn_of_what_cannot_be() -> None:
    with pytest.raises(NoMove):
        draw_operation(DEMOS["number"], ((1, 0), (2, 3)), ("left",))
    with pytest.raises(BadInput, match="32 to 2048 pixels a side, not 16"):
        draw_state(DEMOS["number"], BOARD, 16)


def test_frames_are_saved_in_their_order(tmp_path: Path) -> None:
    episode = Episode("chips", 1, 3, 0)
    save_frames(frames_of(episode, "start"), tmp_path / "frames")
    files = sorted((tmp_path / "frames").iterdir())
    assert [file.name for file in files] == ["000000.png", "000001.png", "000002.png", "000003.png"]
    with Image.open(files[0]) as first:
        assert first.tobytes() == draw_state(episode.demo, episode.state(0)).tobytes()


def test_a_video_is_written_where_av_is_installed(tmp_path: Path) -> None:
    frames = frames_of(Episode("chips", 1, 3, 0), "start")
    with pytest.raises(BadInput, match=r"ends in .mp4 or .webm, not 'video.avi'"):
        save_video(frames, tmp_path / "video.avi")
    try:
        import av  # noqa: F401
    except ImportError:
        with pytest.raises(BadInput, match="pip install av"):
            save_video(frames, tmp_path / "video.mp4")
    else:
        save_video(frames, tmp_path / "video.mp4")
        assert (tmp_path / "video.mp4").stat().st_size > 100


def test_rules_and_questions_need_no_pillow() -> None:
    code = (
        "import sys; sys.modules['PIL'] = None; from surefoot.tools.videoreason import Episode, questions_about, video_of; "
        "print(len(questions_about(video_of(Episode('cup', 3, 5, 0), 'end'), 0)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "6"


# Questions.


@given(episodes(), st.sampled_from(ENDS), st.integers(0, 2**32))
@settings(deadline=None)
def test_a_right_answer_is_right_and_needs_its_heading(episode: Episode, shown: Shown, seed: int) -> None:
    questions = questions_about(video_of(episode, shown), seed)
    assert len({question.dim for question in questions}) == 6
    for question in questions:
        assert question.text.endswith("Provide a summary of the final answer after 'Final Answer:'")
        assert question.right(f"I saw it all.\n\n**Final Answer:**\n{question.answer}\n")
        assert not question.right(question.answer)
        assert not question.right("Final Answer: I do not know.") or question.answer == "None"
    again = questions_about(video_of(episode, shown), seed)
    assert [each.text for each in again] == [each.text for each in questions]


@given(episodes(), st.sampled_from(ENDS), st.integers(0, 2**32))
@settings(deadline=None)
def test_the_answer_to_another_state_is_wrong(episode: Episode, shown: Shown, seed: int) -> None:
    video = video_of(episode, shown)
    states = list(video.states)
    place = -1 if shown == "start" else 0
    demo, rng = episode.demo, random.Random(seed)
    states[place] = demo.after(states[place], demo.draw(states[place], rng))
    one = questions_about(video, seed)[2]
    other = questions_about(Video(demo, states, video.operations, shown), seed)[2]
    if one.text == other.text and one.answer != other.answer:
        assert not one.right(f"Final Answer: {other.answer}")


@given(episodes(), st.sampled_from(ENDS), st.integers(0, 2**32))
@settings(deadline=None)
def test_an_answer_that_lacks_a_part_or_has_another_is_wrong(
    episode: Episode, shown: Shown, seed: int
) -> None:
    for question in questions_about(video_of(episode, shown), seed)[:5]:
        for wrong in changed(question):
            assert not question.right(f"Final Answer: {wrong}"), wrong


def changed(question: VideoQuestion) -> list[str]:
    """The answer without its last part, and with one number, file, card or direction become another."""
    text = question.answer
    head, separator, _ = text.rpartition("\n" if "\n" in text else ", ")
    found = [head] if separator else []
    for one, other in (("up", "down"), ("Hearts", "Clubs"), ("black", "white"), ("coin", "empty"), (".py", ".csv"), ("left", "right")):  # fmt: skip
        if one in text.partition("files:")[2 if "files:" in text else 0]:
            found.append(other.join(text.rsplit(one, 1)))
    return found


def asked(
    name: str, states: list[Any], operations: list[Any], dim: str, words: str = "", shown: Shown = "start"
) -> VideoQuestion:
    """The first drawn question of a dimension whose text has these words."""
    video = Video(DEMOS[name], states, operations, shown)
    for seed in range(2_000):
        for question in questions_about(video, seed):
            if question.dim == dim and words in question.text:
                return question
    raise AssertionError(f"nothing like {words!r} is asked")


def right(question: VideoQuestion, answer: str) -> bool:
    return question.right(f"So it is clear. Final Answer: {answer}")


def replayed(name: str, state: Any, operations: list[Any]) -> list[Any]:
    states = [state]
    for operation in operations:
        states.append(DEMOS[name].after(states[-1], operation))
    return states


def test_questions_about_number() -> None:
    steps = [("up",), ("left",), ("down",)]
    states = replayed("number", BOARD, steps)
    assert states[-1] == ((1, 2, 3), (4, 7, 0), (6, 8, 5))
    order = asked("number", states, steps, "order_operation", "1st to 3rd")
    assert order.answer == "1st: (c,2) up\n2nd: (c,3) left\n3rd: (b,3) down"
    assert right(order, "1st: (c, 2) up, 2nd: (c,3) left, 3rd: (b,3) down")
    assert not right(order, "1st: (c,2) up, 3rd: (b,3) down, 2nd: (c,3) left")
    count = asked("number", states, steps, "counting_operation", "'leftward'")
    assert count.answer == "1: (c,3)"
    assert right(count, "It was performed 1 time: (c,3)") and not right(count, "2: (c,3)")
    state = asked("number", states, steps, "order_state", "at the end of the video")
    assert "(b,3): 0" in state.answer
    assert right(state, state.answer.replace(", (", "\n("))
    assert not right(state, state.answer.replace("(b,3): 0", "(b,3): 9"))
    assert not right(state, f"{state.answer}, (b,3): 9")
    compared = asked("number", states, steps, "comparison_state")
    assert compared.answer == "(b,2): 7, (b,3): 0, (c,2): 8, (c,3): 5"


def test_moves_of_number_that_are_illegal_are_left_out() -> None:
    board = ((1, 0), (2, 3))
    assert replays.number_reached("left, up", board) == ((1, 3), (2, 0))
    assert replays.number_reached("upward", board) == ((1, 3), (2, 0))
    with pytest.raises(NotAnAnswer, match="has no move"):
        replays.number_reached("nothing", board)


def test_moves_of_the_circle_off_the_board_are_left_out_but_its_words_are_strict() -> None:
    state = ((0, 0), (0, 0)), (0, 0)
    assert replays.circle_reached("Left, right", state) == ((1, 1), (0, 1))
    for text in ("upward, right", "right, downwards", "none"):
        with pytest.raises(NotAnAnswer):
            replays.circle_reached(text, state)


def test_questions_about_circle_take_the_published_labels_and_digits() -> None:
    steps = [("right",), ("down",)]
    states = replayed("circle", (((0, 0), (0, 0)), (0, 0)), steps)
    state = asked("circle", states, steps, "order_state")
    assert state.answer == "(a,0): black, (a,1): white, (b,0): black, (b,1): white"
    assert right(state, "(a, 0): 1\n(a, 1): 0\n(b, 0): 1\n(b, 1): 0")
    assert not right(state, "(a,0): black, (b,0): black")
    order = asked("circle", states, steps, "order_operation", "1st to 2nd")
    assert right(order, "right, down") and not right(order, "down, right")


def test_questions_about_cup_take_cups_in_any_order() -> None:
    swaps = [((0, 0), (0, 1)), ((0, 0), (1, 1))]
    states = replayed("cup", ((1, 0), (0, 1)), swaps)
    order = asked("cup", states, swaps, "order_operation", "1st to 2nd")
    assert order.answer == "1st: (a1, a2)\n2nd: (a1, b2)"
    assert right(order, "1st: (a2, a1), 2nd: (b2,a1)") and not right(order, "1st: (a1, b2), 2nd: (a1, a2)")
    row = asked("cup", states, swaps, "counting_operation", "row 'a'")
    assert row.answer == "1st: (a1,a2)\n2nd: a1"
    state = asked("cup", states, swaps, "order_state")
    assert state.answer == "a1, a2"
    assert right(state, "a2 and a1") and not right(state, "a1, a2, b1")


def test_swaps_off_the_board_are_left_out() -> None:
    board = ((1, 0), (0, 0))
    assert replays.cup_reached("(a1, b2), (a1, d4), (b2, b9)", board) == ((0, 0), (0, 1))
    with pytest.raises(NotAnAnswer, match="has no swap"):
        replays.cup_reached("a1 with b2", board)
    with pytest.raises(NotAnAnswer, match="'a1' in another form"):
        replays.cup_reached("(a1, b2), (a1 with a2)", board)


SAME: list[tuple[str, str, str]] = [
    ("board", "(A,1): 3", "(a,1): 3"),
    ("coins", "A1, B2", "a1, b2"),
    ("coins", "None.", "**none**"),
    ("cells", "1: (B,2)", "1: (b,2)"),
    ("files", "A.txt", "a.txt"),
    ("commands", "1st: Touch path0/{a.txt}", "1st: touch path0/{a.txt}"),
    ("cards", "6 of hearts", "6 of Hearts"),
    ("dealt", "1st: 6 OF HEARTS, PILE0", "1st: 6 of Hearts, pile0"),
    ("directions", "The right moves are: up, left", "up, left"),
    ("directions", ":** The right moves are:** up, left", "up, left"),
    ("directions", ":\n1st: up, 2nd: left", "up, left"),
    ("worth", "end, 115. So: end, 115", "end, 115"),
    ("worth", "Both are equally high", "equal"),
    ("number", "The right moves are: up", "up"),
]
TOO_MUCH = [
    ("board", "(a,1): 3, (a,2): 0 or 4"),
    ("board", "(a,1): 3, (a,2): 0/4"),
    ("board", "(a,1): 3, (a,2) is 4"),
    ("board", "none of the cells match: all differ"),
    ("cells", "2 or 3: (b,2)"),
    ("cells", "1: (b,2), c3"),
    ("cells", "none of the 3"),
    ("coins", "a1, (b,2)"),
    ("coins", "none but one"),
    ("tiles", "1st: (c,2) up\n2nd: c3 left"),
    ("tiles", "1st: (c,2) up\n2nd: the gap"),
    ("directions", "up or left"),
    ("cups", "1st: (a1, b2) or (a1, c3)"),
    ("cups", "1st: (a1, b2), second: (a1, c3)"),
    ("commands", "1st: touch path0/{a.txt}\n2nd: ls"),
    ("commands", "1st: touch path0/{a.txt}\nrm -rf path0/b.py"),
    ("cards", "6 of Hearts, 11 of Hearts"),
    ("dealt", "1st: 6 of Hearts, pile0\nKing of Clubs, pile1"),
    ("put", "1st: 100, cup0\n20, cup1"),
    ("chips", "none of the 3 chips"),
    ("worth", "start, 115 or end, 115"),
    ("worth", "start, 115; end, 115"),
    ("worth", "start, 115/120"),
    ("worth", "start, 115, or equal"),
    ("worth", "start, 115; they are equal"),
    ("worth", "They are not equal"),
    ("worth", "The values are unequal"),
    ("worth", "The values aren't equal"),
]


@pytest.mark.parametrize(("name", "one", "other"), SAME)
def test_capitals_and_headings_do_not_count(name: str, one: str, other: str) -> None:
    assert SCORED[name](one) == SCORED[name](other)


@pytest.mark.parametrize(("name", "text"), TOO_MUCH)
def test_what_is_too_much_is_no_answer(name: str, text: str) -> None:
    with pytest.raises(NotAnAnswer):
        SCORED[name](text)


def test_questions_about_files() -> None:
    files = DEMOS["files"]
    lines = ["touch path0/{b.txt,a.txt}", "rm -rf path1/{c.py}", "mv path0/{a.txt,z.csv} path1/"]
    commands = [files.read_operation(line) for line in lines]
    states = replayed("files", (("z.csv",), ("c.py", "d.json")), commands)
    order = asked("files", states, commands, "order_operation", "1st to 3rd commands")
    assert right(
        order, "1st: touch path0/{a.txt,b.txt}\n2nd: rm -rf path1/{c.py}\n3rd: mv path0/{z.csv,a.txt} path1/"
    )
    assert not right(
        order, "1st: touch path0/{a.txt,b.txt}\n2nd: rm -rf path0/{c.py}\n3rd: mv path0/{z.csv,a.txt} path1/"
    )
    assert not right(order, "1st: touch everything")
    count = asked(
        "files", states, commands, "counting_operation", "`.txt` files were involved in the `touch`"
    )
    assert count.answer == "2 `.txt` files: a.txt, b.txt"
    assert right(count, "2: b.txt, a.txt") and not right(count, "3: a.txt, b.txt")
    gone = asked("files", states, commands, "comparison_state", "in `path0/` at the start")
    assert gone.answer == "z.csv"
    after = asked(
        "files", states, commands, "comparison_state", "{c.py}` was executed, what files were in `path1`"
    )
    assert after.answer == "d.json"
    none = asked("files", states, commands, "counting_state", "how many `.py` files remain in `path0/`")
    assert right(none, "0 `.py` files: None") and right(none, "None") and not right(none, "1 file: a.py")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("`touch path0/{b.py} & rm -rf path0/{a.txt}`", ("b.py",)),
        ("rm -rf path0/{a.txt,z.csv}", ()),
        ("touch path0/{a.txt, b.py}", ("a.txt", "b.py")),
        ("touch path1/{b.py}", ("a.txt",)),
        ("touch path0/{a.txt} & rm -rf path0/{a.txt}", None),
        ("touch path0/{b.py} & touch path0/{c.py} & rm -rf path0/{a.txt}", None),
        ("mv path0/{a.txt} path1/", None),
        ("rm path0/{a.txt}", None),
        ("touch path1/{b.py} & rm -rf path0/{a.txt}", ()),
        ("Touch path0/{b.py} & RM -RF path0/{a.txt}", ("b.py",)),
        ("rm -rf path0/{A.txt}", ("a.txt",)),
        ("touch path0/{b.py} & rm -rf path0/*", None),
        ("touch path0/{b.py} & RM -RF path0/*", None),
        ("touch path0/{b.py} & rm -rf path0/{a.txt} & MV path0/{b.py} path1/", None),
        ("touch path0/{b.py} & rm -rf path0/{c.py} & touch path0/c.py", None),
        ("touch path0/{b.py} & unlink path0/a.txt", None),
        ("rm -rf path0/{b.py} path0/{a.txt}", None),
        ("touch -c path0/{b.py}", None),
        ("touch path0/{b.py} or rm -rf path0/{a.txt}", None),
        ("nothing", None),
    ],
)
def test_at_most_two_commands_and_none_but_touch_and_removal(
    text: str, wanted: tuple[str, ...] | None
) -> None:
    state = (("a.txt",), ())
    if wanted is None:
        with pytest.raises(NotAnAnswer):
            replays.files_reached(text, state, 0)
    else:
        assert replays.files_reached(text, state, 0) == wanted


def test_questions_about_cards_list_from_the_top() -> None:
    changes = [("add", "10S", 0), ("remove", "6H", 0), ("add", "AD", 1)]
    states = replayed("cards", (("6H", "KC"), ("2S",)), changes)
    state = asked("cards", states, changes, "order_state", "in `pile0`")
    assert state.answer == "10 of Spades, King of Clubs"
    assert right(state, "10 of spades, king of clubs") and not right(state, "King of Clubs, 10 of Spades")
    order = asked("cards", states, changes, "order_operation", "1st to 2nd cards being added")
    assert order.answer == "1st: 10 of Spades, pile0\n2nd: Ace of Diamonds, pile1"
    count = asked("cards", states, changes, "counting_operation", "removed from `pile0`")
    assert count.answer == "1 cards: 6 of Hearts" and right(count, "1 card: 6 of Hearts")
    gone = asked("cards", states, changes, "comparison_state", "in `pile1` at the start of the video, but")
    assert gone.answer == "None" and right(gone, "none of them") and not right(gone, "2 of Spades")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("remove 6 of Hearts from pile0, add Ace of Spades to pile0", ("KC", "AS")),
        ("add Ace of Spades to pile1, remove 6 of Hearts from pile0", ("KC",)),
        ("remove King of Clubs from pile0", None),
        ("remove 6 of Hearts from pile1", None),
        ("add 11 of Hearts to pile0, remove 6 of Hearts from pile0", None),
        ("remove 6 of Hearts from pile0, add the Joker", None),
        ("Remove 6 of Hearts from pile0, Add Ace of Spades to pile0", ("KC", "AS")),
        ("REMOVE 6 OF HEARTS FROM PILE0", ("KC",)),
        ("remove 6 of Hearts from pile0, Remove King of Clubs from pile0, Add the Joker", None),
        ("remove 6 of Hearts from pile0, then removing King of Clubs", None),
        ("add Ace of Spades to pile0 or pile1", None),
        ("add Ace of \u017fpades to pile0", None),
        ("none", None),
    ],
)
def test_only_the_actual_bottom_card_is_removed(text: str, wanted: tuple[str, ...] | None) -> None:
    state = (("6H", "KC"), ())
    if wanted is None:
        with pytest.raises(NotAnAnswer):
            replays.cards_reached(text, state, 0)
    else:
        assert replays.cards_reached(text, state, 0) == wanted


def test_the_second_pile_must_be_there() -> None:
    with pytest.raises(NotAnAnswer):
        replays.cards_reached("add Ace of Spades to pile1", ((),), 0)


def test_questions_about_chips_and_their_ties() -> None:
    changes = [("add", 20, 0), ("remove", 5, 0), ("remove", 100, 1), ("add", 100, 1)]
    states = replayed("chips", ((5, 5), (100,)), changes)
    assert (
        more := asked("chips", states, changes, "comparison_state", "chips in `cup0` higher")
    ).answer == "end, 15"
    assert right(more, "end, 15") and not right(more, "start, 15") and not right(more, "end, 20")
    tie = asked("chips", states, changes, "comparison_state", "chips in `cup1` higher")
    assert tie.answer == "The total value of chips is equal at both times."
    assert right(tie, "It is equal.") and not right(tie, "start, 0")
    state = asked("chips", states, changes, "counting_state", "in `cup0`")
    assert state.answer == "2 chips: 5, 20"
    assert right(state, "2 chips: 20, 5") and not right(state, "2 chips: 20, 20")
    order = asked("chips", states, changes, "order_operation", "1st to 2nd chips being removed")
    assert order.answer == "1st: 5, cup0\n2nd: 100, cup1"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("add 20 to cup0, remove 5 cup0", (20,)),
        ("remove 5 from cup0", ()),
        ("remove 20 from cup0", None),
        ("add 25 to cup0", None),
        ("add 5 to cup3", None),
        ("add 5 to cup1", (5,)),
        ("add five to cup0, add 5 to cup0", None),
        ("Add five to cup0, add 5 to cup0", None),
        ("Add 20 to Cup0, Remove 5 cup0", (20,)),
        ("remove 5 from cup0, then put and Add 20", None),
    ],
)
def test_only_the_five_values_are_added_and_only_chips_that_are_there_removed(
    text: str, wanted: tuple[int, ...] | None
) -> None:
    state: tuple[tuple[int, ...], ...] = ((5,), ())
    if wanted is None:
        with pytest.raises(NotAnAnswer):
            replays.chips_reached(text, state, 0)
    else:
        assert replays.chips_reached(text, state, 0) == wanted


def test_ordinals() -> None:
    assert [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 112, 122)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th", "122nd"]
    )
