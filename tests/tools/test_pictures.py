"""What users hand in becomes a picture that a server takes, or one clear sentence; pieces of it are cut exactly."""

import os
import random
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from surefoot import BadInput
from surefoot.tools.pictures import (
    FRAMINGS,
    Box,
    Framing,
    Picture,
    crop,
    framed,
    ink_box,
    read_picture,
    read_pictures,
    size_of,
)
from surefoot.tools.pictures.pixels import MOST_PIXELS, decoded, encoded
from surefoot.tools.pictures.reading import MOST_BYTES, MOST_PICTURES

GREEN, WHITE = (10, 200, 30), (255, 255, 255)
SIZE = (400, 200)


def file(image: Image.Image, kind: str, **options: Any) -> bytes:
    held = BytesIO()
    image.save(held, kind, **options)
    return held.getvalue()


def plain(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.new("RGB", size, GREEN).convert(mode)


def noise() -> Image.Image:
    return Image.frombytes("RGB", SIZE, random.Random(1).randbytes(3 * SIZE[0] * SIZE[1]))


def turned(kind: str, orientation: int = 6) -> bytes:
    """A red left half that EXIF puts on top."""
    image = plain()
    image.paste((255, 0, 0), (0, 0, SIZE[0] // 2, SIZE[1]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return file(image, kind, exif=exif)


def png(header: tuple[int, int, int, int], rows: bytes) -> bytes:
    """A PNG by hand: width, height, bits and kind of colour, and its rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", *header, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def drawn(text: str = "7", size: tuple[int, int] = (100, 100), at: tuple[int, int] = (50, 50)) -> Picture:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text(at, text, "black", font=ImageFont.load_default(40), anchor="mm")
    return encoded(image)


def refused(source: Any) -> str:
    with pytest.raises(BadInput) as error:
        read_picture(source)
    return str(error.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_what_servers_take_is_sent_byte_for_byte(kind: str) -> None:
    for image in (plain(), plain("L")):
        data = file(image, kind)
        assert read_picture(data) == Picture(data, f"image/{kind.lower()}")


def test_a_file_a_path_and_bytes_are_the_same_picture(tmp_path: Path) -> None:
    path, data = tmp_path / "green.png", file(plain(), "PNG")
    path.write_bytes(data)
    assert read_picture(path) == read_picture(str(path)) == read_picture(data)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("GIF", "P"), ("BMP", "RGB"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "1"), ("PNG", "LA")],
)
def test_odd_formats_are_sent_as_png(kind: str, mode: str) -> None:
    image = Image.new("RGB", SIZE, "white").convert(mode)
    sent = read_picture(file(image, kind))
    assert sent.media == "image/png"
    assert Image.open(BytesIO(sent.data)).mode == "RGB"
    assert decoded(sent).getpixel((5, 5)) == WHITE


def test_sixteen_bits_become_eight_and_not_white() -> None:
    half = 0x8000
    grey = png((4, 1, 16, 0), b"\0" + struct.pack(">4H", *[half] * 4))
    colours = png((4, 1, 16, 2), b"\0" + struct.pack(">12H", *[half, 0, 0xFFFF] * 4))
    assert decoded(read_picture(grey)).getpixel((0, 0)) == (127, 127, 127)
    sent = read_picture(colours)
    assert sent.data[24] == 8 and decoded(sent).getpixel((0, 0)) == (128, 0, 255)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparent_places_become_white(kind: str) -> None:
    sent = read_picture(
        file(Image.new("RGBA", SIZE, (0, 0, 0, 0)), kind, **({"lossless": True} if kind == "WEBP" else {}))
    )
    assert decoded(sent).getpixel((5, 5)) == WHITE


def test_a_colour_that_means_transparent_becomes_white() -> None:
    assert decoded(read_picture(file(plain(), "PNG", transparency=GREEN))).getpixel((5, 5)) == WHITE
    palette = plain().quantize(2)
    assert (
        decoded(read_picture(file(palette, "GIF", transparency=palette.getpixel((0, 0))))).getpixel((5, 5))
        == WHITE
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_turned_photo_is_sent_upright(kind: str) -> None:
    sent = read_picture(turned(kind))
    assert sent.media == ("image/jpeg" if kind == "JPEG" else "image/png")
    assert size_of(sent) == (200, 400)
    red, green, _ = decoded(sent).getpixel((100, 50))
    assert red > 200 and green < 50
    assert read_picture(sent.data) == sent


def test_an_orientation_that_means_nothing_changes_nothing() -> None:
    for orientation in (0, 1, 9):
        data = turned("JPEG", orientation)
        assert read_picture(data) == Picture(data, "image/jpeg")


def test_the_same_pixels_are_the_same_picture_whatever_else_the_file_held() -> None:
    cmyk = decoded(read_picture(file(plain("CMYK"), "JPEG", icc_profile=b"a profile of inks")))
    assert encoded(cmyk) == encoded(Image.frombytes("RGB", cmyk.size, cmyk.tobytes()))


def test_a_photo_with_a_second_one_behind_it_is_no_animation() -> None:
    data = file(plain(), "MPO", save_all=True, append_images=[noise()])
    assert read_picture(data) == Picture(data, "image/jpeg")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_refused_and_one_frame_is_none(kind: str) -> None:
    moving = file(plain(), kind, save_all=True, append_images=[noise()])
    assert "is animated" in refused(moving)
    assert size_of(read_picture(file(plain(), kind, save_all=True))) == SIZE


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_a_truncated_file_is_refused(kind: str) -> None:
    data = file(noise(), kind)
    for length in (3, 20, 60, len(data) // 2, len(data) - 100):
        assert refused(data[:length])


@given(st.data())
def test_damaged_bytes_are_a_picture_or_one_sentence(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP"]))
    whole = bytearray(file(plain(size=(24, 16)), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded(read_picture(bytes(whole)))
    except BadInput as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("side", [8_000, 100_000, 2**31 - 1])
def test_a_huge_picture_is_refused_by_its_header(side: int) -> None:
    assert f"{MOST_PIXELS:,}" in refused(png((side, side, 8, 2), b"\0"))


def test_a_long_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    with path.open("wb") as made:
        made.truncate(10**12)  # a hole: reading it would take a terabyte
    assert "1,000,000,000,000 bytes" in refused(path)
    assert f"{MOST_BYTES:,}" in refused(b"x" * (MOST_BYTES + 1))


def test_one_pixel_is_a_picture() -> None:
    assert size_of(read_picture(file(plain(size=(1, 1)), "PNG"))) == (1, 1)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"", "is empty"),
        (b"hello", "no PNG, JPEG, WebP, GIF or BMP"),
        (png((0, 5, 8, 2), b"\0"), "no PNG"),
        (file(Image.new("RGB", (4, 4)), "TIFF"), "convert it to PNG"),
        ("/nonexistent/cat.png", "'/nonexistent/cat.png' is no file"),
        ("", "'' is no file"),
        ("a\0b.png", "is no file"),
        (os.sep, "is no file"),
        ("/dev/zero", "is no file"),
        (7, "source of read_picture must be of type"),
    ],
    ids=["empty", "text", "no pixels", "TIFF", "missing", "no name", "NUL", "folder", "device", "number"],
)
def test_what_is_no_picture_is_said_in_one_sentence(source: Any, said: str) -> None:
    assert said in refused(source)


def test_a_wrong_extension_is_refused_with_both_names(tmp_path: Path) -> None:
    for name, known in {
        "cat.png": False,
        "cat.HEIC": False,
        "cat.jpeg": True,
        "cat": True,
        "cat.dat": True,
    }.items():
        path = tmp_path / name
        path.write_bytes(file(plain(), "JPEG"))
        if known:
            assert read_picture(path).media == "image/jpeg"
        else:
            assert "JPEG" in refused(path) and name.rpartition(".")[2].upper() in refused(path)


def test_several_pictures_are_counted_before_they_are_read() -> None:
    data = file(plain(), "PNG")
    assert read_pictures([data, data]) == (Picture(data),) * 2 and read_pictures([]) == ()
    for wrong in ([b""] * (MOST_PICTURES + 1), "cat.png"):
        with pytest.raises(BadInput, match=r"at most 16 pictures|as a list"):
            read_pictures(wrong)


def test_without_pillow_the_extra_is_named() -> None:
    code = """if True:
        import sys
        sys.modules["PIL"] = None
        from surefoot.tools.pictures import Picture, crop, framed, ink_box, read_picture, Box
        for work in (lambda: read_picture(b"x"), lambda: ink_box(Picture(b"x")), lambda: crop(Picture(b"x"), Box(0, 0, 1, 1))):
            try:
                work()
            except ValueError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.count("pip install 'surefoot[vision]'") == 3


@pytest.mark.parametrize("edges", [(3, 0, 3, 5), (5, 0, 3, 5), (0, 5, 3, 5), (-1, 0, 3, 5), (0, -1, 3, 5)])
def test_a_box_without_area_or_with_negative_edges_is_refused(edges: tuple[int, int, int, int]) -> None:
    with pytest.raises(BadInput, match="a box has"):
        Box(*edges)


edges = st.tuples(*[st.integers(0, 60)] * 4).filter(lambda found: found[0] < found[2] and found[1] < found[3])


@given(edges, edges)
def test_intersection_over_union_is_that_of_the_pixels(one: Any, other: Any) -> None:
    first, second = Box(*one), Box(*other)
    sets = [{(x, y) for x in range(b.left, b.right) for y in range(b.top, b.bottom)} for b in (first, second)]
    assert first.area == len(sets[0])
    assert first.iou(second) == second.iou(first) == len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    both = first.around(second)
    assert both.common(first) == first.area and both.common(second) == second.area


def test_a_crop_is_the_pixels_of_its_box() -> None:
    picture = encoded(noise())
    cut = crop(picture, Box(10, 20, 40, 60))
    assert size_of(cut) == (30, 40)
    assert decoded(cut).tobytes() == decoded(picture).crop((10, 20, 40, 60)).tobytes()


def test_a_margin_ends_at_the_edge_of_the_picture_and_may_be_negative() -> None:
    picture = drawn()
    assert size_of(crop(picture, Box(0, 10, 20, 100), 5)) == (25, 95)
    assert size_of(crop(picture, Box(0, 0, 100, 100), -3)) == (94, 94)
    for box, margin in ((Box(0, 0, 101, 5), 0), (Box(10, 10, 20, 20), -5)):
        with pytest.raises(BadInput):
            crop(picture, box, margin)


def test_ink_is_what_differs_from_the_ground_in_any_colours() -> None:
    for ground, ink in (
        ("white", "black"),
        ("black", "white"),
        ((225, 225, 225), (180, 180, 180)),
        ("blue", "red"),
    ):
        image = Image.new("RGB", (50, 40), ground)
        image.paste(ink, (12, 7, 30, 33))
        assert ink_box(encoded(image)) == Box(12, 7, 30, 33)


def test_a_blank_picture_has_no_ink_and_is_framed_as_it_is() -> None:
    blank = encoded(Image.new("RGB", (50, 40), GREEN))
    assert ink_box(blank) is None
    assert ink_box(Picture(file(plain(), "JPEG", quality=30), "image/jpeg")) is None
    assert {framing: size_of(framed(blank, framing)) for framing in FRAMINGS} == {
        "as it is": (50, 40),
        "ink": (50, 40),
        "double": (100, 80),
        "inverted": (50, 40),
    }


def test_framings_are_deterministic_and_do_not_depend_on_where_the_ink_was() -> None:
    one, moved = drawn(), drawn(size=(300, 100), at=(240, 31))
    for framing in ("ink", "double", "inverted"):
        assert framed(one, framing) == framed(one, framing) == framed(moved, framing)
    assert framed(one, "as it is") is one
    width, height = size_of(framed(one, "ink"))
    assert size_of(framed(one, "double")) == (2 * width, 2 * height)
    assert len({framed(one, framing).digest for framing in FRAMINGS}) == len(FRAMINGS)


def test_ink_at_the_edge_gets_its_margin_all_the_same() -> None:
    touching = crop(drawn(), ink_box(drawn()) or Box(0, 0, 1, 1))
    assert framed(touching, "ink") == framed(drawn(), "ink")


def test_an_unknown_framing_is_refused() -> None:
    unknown: Any = "upside down"
    with pytest.raises(BadInput, match="as it is, ink, double, inverted, not 'upside down'"):
        framed(drawn(), unknown)


def test_a_framing_is_a_literal_that_type_checkers_know() -> None:
    framing: Framing = "ink"
    assert framing in FRAMINGS
