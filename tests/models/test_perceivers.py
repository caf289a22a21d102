"""What looks at pictures: each reader on drawings with a known truth, several as one, and a planner that never gets a picture."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest
from PIL import Image, ImageDraw, ImageFont

from surefoot import Ask, BadInput, Message, Model, ModelUnavailable, OpenAIModel, Sample
from surefoot.models import Offer, Prompt, ToolSchema, in_order, open_model
from surefoot.models.base import check_model, context_of
from surefoot.models.connect import as_kept, is_address
from surefoot.models.doubles import Double
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.openai.options import Options
from surefoot.models.perceivers import OcrReader, Panel, Reader, Sighted, TemplateReader
from surefoot.models.perceivers.ocr import in_lines, merged
from surefoot.models.perceivers.reader import KNOWN_LOOKS
from surefoot.models.perceivers.template import DIGITS
from surefoot.tools.pictures import FRAMINGS, Box, Picture, crop, framed
from surefoot.tools.pictures.pixels import encoded
from surefoot.voting.samples import Usage

Colour = str | tuple[int, int, int]
LABELS = [*map(str, range(36)), "66", "69", "71", "77", "88", "96", "99", "100"]
BLANK = encoded(Image.new("RGB", (80, 80), "white"))
CAR = ToolSchema("drive", "", "{}")


def drawn(
    text: str,
    font_px: float = 40,
    size: tuple[int, int] = (80, 80),
    ground: Colour = "white",
    ink: Colour = "black",
) -> Picture:
    image = Image.new("RGB", size, ground)
    middle = (size[0] / 2, size[1] / 2)
    ImageDraw.Draw(image).text(middle, text, ink, font=ImageFont.load_default(font_px), anchor="mm")
    return encoded(image)


def about(
    picture: Picture, question: str = "Which number is this?", *, seed: int = 0, limit: int = 100
) -> Ask:
    return Ask((Message("user", question, (picture,)),), 0.0, limit, seed)


async def texts(model: Model, asks: Sequence[Ask]) -> list[str]:
    return [sample.text for sample in await in_order(model, asks)]


class Counting(Reader):
    """It answers with the question, and counts its looks."""

    def __init__(self, *, name: str = "counting", threads: int | None = None, takes_s: float = 0.0) -> None:
        super().__init__(name, threads=threads)
        self.looks, self.takes_s = 0, takes_s

    def look(self, picture: Picture, question: str, ask: Ask) -> str:
        self.looks += 1
        time.sleep(self.takes_s)
        if question == "raise":
            raise BadInput("no such picture")
        return question


def echo(name: str, error: float = 0.0) -> Double:
    """A text model that answers with its name and the last message."""
    return Double(lambda prompt: f"{name}: {last(prompt)}", lambda prompt, _: "wrong", error=error, name=name)


def watching(seen: list[Prompt], name: str) -> Double:
    """A text model that keeps the prompts that it gets."""

    def right(prompt: Prompt) -> str:
        seen.append(prompt)
        return "seen"

    return Double(right, lambda prompt, _: "wrong", name=name)


def last(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else prompt[-1].content


# Readers in general.


def test_a_reader_is_a_model() -> None:
    reader = Counting()
    check_model(reader)
    assert isinstance(reader, Model) and reader.name == "counting"


async def test_every_ask_gets_its_own_answer_and_its_bill() -> None:
    asks = [about(BLANK, f"question {number}") for number in range(100)]
    samples = await in_order(Counting(), asks)
    assert [sample.text for sample in samples] == [f"question {number}" for number in range(100)]
    assert samples[7] == Sample("question 7", "stop", 3, Usage(prompt=3, completion=3))


async def test_a_look_is_made_once_for_all_votes_and_remembered() -> None:
    reader = Counting()
    asks = [about(BLANK, f"{number % 3}", seed=number) for number in range(30)]
    assert await texts(reader, asks) == [f"{number % 3}" for number in range(30)]
    assert await texts(reader, asks) and reader.looks == 3
    await texts(reader, [about(drawn("1"), "0")])
    assert reader.looks == 4


async def test_only_the_latest_looks_are_remembered() -> None:
    reader = Counting(threads=1)
    asks = [about(BLANK, f"{number}") for number in range(KNOWN_LOOKS + 1)]
    await texts(reader, asks)
    await texts(reader, asks[1:])
    assert reader.looks == len(asks)
    await texts(reader, asks[:1])
    assert reader.looks == len(asks) + 1


async def test_an_answer_over_the_limit_is_cut_off_as_a_server_would() -> None:
    (sample,) = await in_order(Counting(), [about(BLANK, "eight tokens are thirty-two chars", limit=2)])
    assert sample == Sample("eight to", "length", 2, Usage(prompt=9, completion=2))


@pytest.mark.parametrize(
    "prompt",
    [
        "a text",
        (),
        (Message("user", "no picture"),),
        (Message("user", "two", (BLANK, BLANK)),),
        (Message("user", "earlier", (BLANK,)), Message("user", "and now?")),
        (Message("user", "earlier", (BLANK,)), Message("user", "and now?", (BLANK,))),
    ],
    ids=["text", "empty", "none", "two", "earlier", "one each"],
)
async def test_anything_but_one_picture_in_the_last_message_is_refused(prompt: Prompt) -> None:
    with pytest.raises(BadInput, match="counting looks at one picture, in the last message"):
        await texts(Counting(), [Ask(prompt, 0.0, 10, 0)])


async def test_a_message_before_the_picture_is_not_read() -> None:
    prompt = (Message("system", "You see well."), Message("user", "what?", (BLANK,)))
    assert await texts(Counting(), [Ask(prompt, 0.0, 10, 0)]) == ["what?"]


async def test_an_offer_is_refused() -> None:
    with pytest.raises(BadInput, match="calls no tools"):
        await texts(Counting(), [about(BLANK)._replace(offer=Offer((CAR,)))])


async def test_what_a_look_raises_is_raised() -> None:
    reader = Counting()
    with pytest.raises(BadInput, match="no such picture"):
        await texts(reader, [about(BLANK, "fine"), about(BLANK, "raise")])
    assert await texts(reader, [about(BLANK, "fine")]) == ["fine"]


async def test_closing_takes_back_what_no_thread_has_begun() -> None:
    reader = Counting(threads=1, takes_s=0.02)
    async with aclosing(reader.sample([about(BLANK, f"{number}") for number in range(100)])) as samples:
        await anext(samples)
    await asyncio.sleep(0.2)
    assert reader.looks < 10


async def test_looks_run_beside_each_other_and_beside_the_event_loop() -> None:
    reader = Counting(threads=4, takes_s=0.2)
    begun = time.monotonic()
    turns, running = 0, asyncio.create_task(texts(reader, [about(BLANK, f"{number}") for number in range(4)]))
    while not running.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert turns > 5 and time.monotonic() - begun < 0.7


def test_a_reader_has_at_least_one_thread() -> None:
    with pytest.raises(BadInput, match="threads must be at least 1, not 0"):
        Counting(threads=0)


async def test_a_reader_can_be_served_over_http() -> None:
    async with DoubleServer(TemplateReader()) as server, OpenAIModel(server.url) as model:
        assert await texts(model, [about(drawn(label)) for label in LABELS[:12]]) == LABELS[:12]


# The glyph matcher.


@pytest.mark.parametrize("font_px", [10, 12, 14, 18, 28, 40])
@pytest.mark.parametrize(
    "colours", [("white", "black"), ("black", "white"), ("blue", "white"), ((225,) * 3, (180,) * 3)]
)
async def test_the_matcher_reads_numbers_of_any_size_and_colour(
    font_px: int, colours: tuple[Colour, Colour]
) -> None:
    cells = [drawn(label, font_px, (80, 80), *colours) for label in LABELS]
    assert await texts(TemplateReader(), [about(cell) for cell in cells]) == LABELS


async def test_the_matcher_reads_every_framing() -> None:
    cells = [framed(drawn(label, 18), framing) for label in LABELS for framing in FRAMINGS]
    assert await texts(TemplateReader(), [about(cell) for cell in cells]) == [
        label for label in LABELS for _ in FRAMINGS
    ]


async def test_the_matcher_sees_nothing_where_there_is_nothing_that_it_knows() -> None:
    disk, border = Image.new("RGB", (80, 80), "white"), Image.new("RGB", (80, 80), "white")
    ImageDraw.Draw(disk).ellipse((10, 20, 70, 60), fill="red")
    ImageDraw.Draw(border).rectangle((4, 4, 75, 75), outline="black")
    bar = Image.new("RGB", (80, 80), "white")
    bar.paste("black", (20, 20, 40, 48))
    pictures = [BLANK, drawn("x"), drawn("7x"), encoded(disk), encoded(border), encoded(bar)]
    assert await texts(TemplateReader(), [about(picture) for picture in pictures]) == [""] * len(pictures)


async def test_the_matcher_reads_lines_and_spaces() -> None:
    assert await texts(TemplateReader(), [about(drawn("12  7\n305", 20, (120, 90)))]) == ["12 7\n305"]


async def test_the_matcher_is_given_its_letters() -> None:
    reader = TemplateReader(alphabet=DIGITS + "ABCDEF", name="hexadecimal")
    assert await texts(reader, [about(drawn("BEEF", 24)), about(drawn("C0DE", 24))]) == ["BEEF", "C0DE"]
    for wrong in ("", "a b", "a\n"):
        with pytest.raises(BadInput, match="an alphabet is letters"):
            TemplateReader(alphabet=wrong)


# Several as one.


async def test_a_panel_sends_an_ask_to_the_model_that_it_names() -> None:
    panel = Panel([echo("one"), echo("two")])
    prompts = ["[two]\nWhat?", "[one]\nWhat?", "What?", "[3, 1, 2]\nsort", "[two]", "[two] same line"]
    found = await texts(panel, [Ask((Message("user", prompt),), 0.0, 100, 0) for prompt in prompts])
    assert found == [
        "two: What?",
        "one: What?",
        "one: What?",
        "one: [3, 1, 2]\nsort",
        "two: ",
        "one: [two] same line",
    ]
    assert await texts(panel, [Ask("[two]\na string", 0.0, 100, 0)]) == ["one: [two]\na string"]


async def test_a_panel_hands_on_pictures_and_earlier_messages() -> None:
    seen: list[Prompt] = []
    prompt = (Message("system", "[blind]\nlook"), Message("user", "[watching]\n7?", (BLANK,)))
    await texts(Panel([echo("blind"), watching(seen, "watching")]), [Ask(prompt, 0.0, 10, 0)])
    assert seen == [(Message("system", "[blind]\nlook"), Message("user", "7?", (BLANK,)))]


async def test_a_panel_refuses_names_that_it_does_not_have_and_the_same_twice() -> None:
    with pytest.raises(BadInput, match="no model of the panel is called 'three': it has one, two"):
        await texts(Panel([echo("one"), echo("two")]), [Ask((Message("user", "[three]\n?"),), 0.0, 10, 0)])
    for models in ([], [echo("one"), echo("one")]):
        with pytest.raises(BadInput, match="different names"):
            Panel(models)
    assert Panel([echo("one"), echo("two")]).name == "one | two"


async def test_an_engine_and_a_framing_make_a_view() -> None:
    panel = Panel([TemplateReader(), TemplateReader(alphabet="0123456789ABC", name="hexadecimal")])
    views = [
        about(framed(drawn("88", 12), framing), f"[{engine}]\nWhich?")
        for engine in ("template", "hexadecimal")
        for framing in FRAMINGS
    ]
    assert set(await texts(panel, views)) == {"88"}


async def test_a_planner_never_gets_a_picture() -> None:
    prompts: list[Prompt] = []
    both = Sighted(watching(prompts, "planner"), Counting())
    asks = [
        Ask("plan", 0.0, 10, 0),
        about(BLANK, "look"),
        Ask((Message("user", "plan on"),), 0.0, 10, 1),
        about(drawn("1"), "look again"),
    ]
    assert await texts(both, asks) == ["seen", "look", "seen", "look again"]
    assert prompts == ["plan", (Message("user", "plan on"),)]
    earlier = (Message("user", "see", (BLANK,)), Message("user", "and now?"))
    with pytest.raises(BadInput, match="counting looks at one picture"):
        await texts(both, [Ask(earlier, 0.0, 10, 0)])
    assert len(prompts) == 2 and both.name == "planner + counting"


class Slow:
    """It answers after a while, and tells whether it was closed before."""

    def __init__(self, name: str, takes_s: float, *, fails: bool = False) -> None:
        self.name, self.takes_s, self.fails, self.closed = name, takes_s, fails, False

    async def context(self) -> int | None:
        return 4096

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        try:
            for position in range(len(asks)):
                await asyncio.sleep(self.takes_s)
                if self.fails:
                    raise ModelUnavailable(f"{self.name} is gone")
                yield position, Sample(self.name)
        except (GeneratorExit, asyncio.CancelledError):
            self.closed = True
            raise


async def test_samples_of_both_come_as_they_end() -> None:
    both = Sighted(Slow("planner", 0.05), Slow("perceiver", 0.02))
    asks = [Ask("a", 0.0, 1, 0), about(BLANK), Ask("b", 0.0, 1, 0), about(BLANK)]
    order = [(position, sample.text) async for position, sample in both.sample(asks)]
    assert order == [(1, "perceiver"), (3, "perceiver"), (0, "planner"), (2, "planner")]
    assert [pair async for pair in both.sample([])] == []


async def test_the_context_is_that_of_the_planner() -> None:
    assert await context_of(Sighted(Slow("planner", 0), Counting())) == 4096
    assert await context_of(Sighted(echo("planner"), Slow("perceiver", 0))) is None


async def test_closing_ends_both() -> None:
    planner, perceiver = Slow("planner", 0.01), Slow("perceiver", 30)
    async with aclosing(
        Sighted(planner, perceiver).sample([Ask("a", 0.0, 1, 0)] * 9 + [about(BLANK)])
    ) as samples:
        await anext(samples)
    assert planner.closed and perceiver.closed


async def test_a_failure_of_one_is_raised_and_ends_the_other() -> None:
    perceiver = Slow("perceiver", 30)
    with pytest.raises(ModelUnavailable, match="planner is gone"):
        await texts(Sighted(Slow("planner", 0, fails=True), perceiver), [Ask("a", 0.0, 1, 0), about(BLANK)])
    assert perceiver.closed


@pytest.mark.parametrize(
    "name",
    [
        "glance",
        "ocr",
        "template",
        "ocr | template",
        "pebble + glance",
        "http://gpu:8000/v1#a + ocr | template",
    ],
)
def test_whoever_looks_has_an_address(name: str) -> None:
    assert is_address(name) and as_kept(name) == name


@pytest.mark.parametrize(
    "name", ["glance2", "pebble + ", "pebble + eyes", "towers-double + glance", "pebble +glance"]
)
def test_what_is_no_address_is_none(name: str) -> None:
    assert not is_address(name)


def test_no_part_of_an_address_is_kept_with_a_key() -> None:
    kept = as_kept("http://a/v1?key=secretsecret + http://b/v1?key=secretsecret#m")
    assert "secret" not in kept and kept.endswith("#m") and " + http://b/v1?key=" in kept


async def test_a_planner_and_a_panel_are_opened_as_one() -> None:
    async with DoubleServer(Double(lambda _: "no picture", lambda *_: "")) as server:
        with pytest.raises(BadInput, match="different names"):
            async with open_model(f"{server.url} + template | template"):
                pass
        async with open_model(f"{server.url} + template") as model:
            said = await texts(model, [about(drawn("42")), Ask("What?", 0.0, 9, 0)])
    assert model.name == "double + template" and said == ["42", "no picture"]


async def test_the_matcher_is_opened_by_its_address() -> None:
    async with open_model("template") as model:
        assert await texts(model, [about(drawn("42"))]) == ["42"]


@pytest.mark.parametrize("name", ["pebble", "ponder", "pebble-numpy"])
async def test_a_model_that_sees_nothing_is_no_perceiver(name: str) -> None:
    with pytest.raises(BadInput, match=f"{name} sees no pictures"):
        async with open_model(f"template + {name}"):
            pass


async def test_a_perceiver_gets_the_patience_of_the_planner_and_not_its_key() -> None:
    options = Options(api_key="a-key-of-the-planner")
    seeing = DoubleServer(
        Double(lambda _: "seen", lambda *_: ""), api_key=""
    )  # whoever has one is turned away
    async with seeing, open_model(f"template + {seeing.url}", options=options) as model:
        assert await texts(model, [about(drawn("42"))]) == ["seen"]


def test_without_the_extras_they_are_named() -> None:
    code = """if True:
        import sys
        sys.modules.update(dict.fromkeys(["PIL", "numpy", "rapidocr"]))
        from surefoot.models.perceivers import OcrReader, Panel, Sighted, TemplateReader
        for reader in (OcrReader, TemplateReader):
            try:
                reader()
            except ValueError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "pip install 'surefoot[ocr]'" in done.stdout and "pip install 'surefoot[vision]'" in done.stdout


# A board, cell by cell.


def board(values: Sequence[int], cell_px: int, font_px: float) -> Picture:
    """A square board with lines between its cells."""
    side = round(len(values) ** 0.5)
    image = Image.new("RGB", (side * cell_px + 1,) * 2, "white")
    draw = ImageDraw.Draw(image)
    for place, value in enumerate(values):
        left, top = place % side * cell_px, place // side * cell_px
        draw.rectangle((left, top, left + cell_px, top + cell_px), outline="black")
        middle = (left + cell_px / 2, top + cell_px / 2)
        draw.text(middle, str(value), "black", font=ImageFont.load_default(font_px), anchor="mm")
    return encoded(image)


def cells(picture: Picture, side: int, cell_px: int) -> list[Picture]:
    """Every cell, without its lines."""
    boxes = (
        Box(column * cell_px, row * cell_px, (column + 1) * cell_px, (row + 1) * cell_px)
        for row in range(side)
        for column in range(side)
    )
    return [crop(picture, box, margin=-2) for box in boxes]


@pytest.mark.parametrize("font_px", [12, 20, 36])
async def test_the_matcher_reads_a_board_by_its_cells_with_and_without_framing(font_px: int) -> None:
    values = random.Random(font_px).sample(range(100), 16)
    found = cells(board(values, 80, font_px), 4, 80)
    for views in (found, [framed(cell, "ink") for cell in found]):
        assert await texts(TemplateReader(), [about(view) for view in views]) == list(map(str, values))


# Text recognition.


@pytest.fixture(scope="module")
def ocr() -> OcrReader:
    """Its networks take two seconds to load."""
    return OcrReader(threads=1)


async def test_lone_digits_and_narrow_ones_are_read_upright(ocr: OcrReader) -> None:
    """With the angle classifier on 99 is 66; a box much higher than wide is turned on its side."""
    labels = ["7", "1", "4", "66", "99", "69", "96", "11", "111", "17"]
    assert await texts(ocr, [about(drawn(label, 64, (100, 100))) for label in labels[:6]]) == labels[:6]
    assert await texts(ocr, [about(drawn(label, 40, (300, 200))) for label in labels]) == labels


async def test_nothing_is_read_where_nothing_is(ocr: OcrReader) -> None:
    blanks = [BLANK, encoded(Image.new("RGB", (400, 300), "navy")), encoded(Image.new("RGB", (1, 1)))]
    assert await texts(ocr, [about(blank) for blank in blanks]) == ["", "", ""]
    scene = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(scene).ellipse((50, 50, 350, 250), fill="red")
    assert await texts(ocr, [about(encoded(scene))]) == [""]


async def test_the_way_of_a_look_does_not_stick_to_the_next(ocr: OcrReader) -> None:
    for number in range(20, 23):
        assert await texts(ocr, [about(drawn(f"{number}"))]) == [f"{number}"]
        assert await texts(ocr, [about(drawn(f"{number}\n{number + 1}", 30, (300, 200)))]) == [
            f"{number}\n{number + 1}"
        ]
        assert await texts(ocr, [about(encoded(Image.new("RGB", (number, 90))))]) == [""]


async def test_small_digits_are_read_when_cut_to_their_ink(ocr: OcrReader) -> None:
    """Uncut, 12 pixels in a cell of 60 are misread, and each look again errs the same."""
    small = [framed(drawn(label, 12, (60, 60)), "ink") for label in LABELS]
    assert await texts(ocr, [about(cell) for cell in small]) == LABELS


@pytest.mark.parametrize(
    "colours",
    [("red", "blue"), ("blue", "red"), ("yellow", "navy"), ("navy", "yellow"), ((225,) * 3, (180,) * 3)],
)
async def test_any_two_colours_are_read(ocr: OcrReader, colours: tuple[Colour, Colour]) -> None:
    assert await texts(ocr, [about(drawn("305 apples", 24, (300, 120), *colours))]) == ["305 apples"]


async def test_columns_are_told_apart(ocr: OcrReader) -> None:
    """Read in one piece, 12 and 7 are 127, with a score above 0.999."""
    for text in ("12   7", "3   4   5", "10   11   12"):
        assert await texts(ocr, [about(drawn(text, 20, (300, 200)))]) == [" ".join(text.split())]


async def test_lines_come_from_top_to_bottom(ocr: OcrReader) -> None:
    text = "hello world 42\nmove 17 to peg 3\n8 apples"
    assert await texts(ocr, [about(drawn(text, 24, (600, 400)))]) == [text]


def test_boxes_that_share_pixels_are_read_as_one() -> None:
    one, same = Box(10, 10, 90, 30), Box(11, 10, 91, 31)
    overlapping, chained, below = Box(80, 12, 160, 32), Box(150, 8, 200, 30), Box(10, 29, 90, 50)
    assert merged([one, same]) == [Box(10, 10, 91, 31)]
    assert merged([one, chained, overlapping]) == [Box(10, 8, 200, 32)]
    assert merged([one, below]) == [one, below]
    assert merged([]) == []


def test_boxes_are_sorted_into_lines() -> None:
    boxes = [Box(x, y + x % 3, x + 20, y + x % 3 + 20) for y in (10, 40, 70) for x in (10, 40, 71)]
    shuffled = random.Random(3).sample(boxes, len(boxes))
    assert in_lines(shuffled) == [boxes[:3], boxes[3:6], boxes[6:]]


async def test_a_sliver_is_searched_in_little_time(ocr: OcrReader) -> None:
    """rapidocr by itself enlarges one of 12 x 200 pixels until it takes 20 s and 1.7 GB."""
    slivers = [Image.new("RGB", size, "white") for size in ((1, 2), (3, 2), (12, 200), (1, 400), (400, 1))]
    for sliver in slivers:
        sliver.putpixel((sliver.width // 2, sliver.height // 2), (0, 0, 0))
    async with asyncio.timeout(60):
        assert all(len(text) < 2 for text in await texts(ocr, [about(encoded(sliver)) for sliver in slivers]))


@pytest.mark.parametrize("font_px", [10, 20, 36])
async def test_two_engines_agree_on_a_board_cut_to_its_ink(ocr: OcrReader, font_px: int) -> None:
    values = random.Random(font_px).sample(range(100), 16)
    views = [
        about(framed(cell, "ink"), f"[{engine}]\nWhich number is this?")
        for cell in cells(board(values, 80, font_px), 4, 80)
        for engine in ("ocr", "template")
    ]
    assert await texts(Panel([ocr, TemplateReader()]), views) == [
        str(value) for value in values for _ in range(2)
    ]


async def test_threads_have_engines_of_their_own() -> None:
    async with open_model("ocr") as model:
        assert await texts(model, [about(drawn(label)) for label in LABELS]) == LABELS


def test_it_loads_nothing_from_the_network_and_prints_nothing() -> None:
    code = """if True:
        import socket
        def refuse(*address: object) -> None:
            raise SystemExit(f"connects to {address}")
        socket.socket.connect = refuse
        from PIL import Image
        from surefoot.models.perceivers import OcrReader
        from surefoot.tools.pictures.pixels import encoded
        image = Image.new("RGB", (300, 200))
        image.paste("red", (10, 10, 280, 150))
        print(repr(OcrReader().look(encoded(image), "", None)))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("''\n", "", 0)
