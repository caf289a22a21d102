#!/usr/bin/env bash
# rapidocr 3.10.0 (onnxruntime 1.32.0): plain black print on white is misread, with a score near 1; and a call changes those after it.
#
# All text is drawn by Pillow in its own font, in the middle of a white picture.
# 1. "12 7" at 20 pixels, detection and recognition: two numbers are read as one, 127, with a score above 0.999.
# 2. "99" at 64 pixels, recognition alone: 66 with the angle classifier, 99 without, and either score is above 0.999.  The classifier
#    turns a picture round that it takes to be upside down, and it is on unless told otherwise (`use_cls: true` in the package's config.yaml).
# 3. "I" at 40 pixels, detection and recognition: `_`.  A box that is at least 1.5 times as high as wide is laid on its side before
#    it is read (`get_rotate_crop_image` in utils/process_img.py).  The letter alone in a picture of 20 x 40, recognition alone, is read as I.
# 4. A flag that a call is given holds for later calls as well (`update_params` in main.py).  "12" above "34" is two texts; after one
#    `engine(image, use_det=False)` a plain `engine(image)` only recognises, too: a TextRecOutput of one text, not a RapidOCROutput of two.
#
# Take no score for a check.  Give all three flags at each call, with `use_cls=False` where text is upright.
#
# Seen (Python 3.11.7):
#   1. 12 7: RapidOCROutput ['127'], score 0.99999
#   2. 99, use_cls=False: TextRecOutput ['99'], score 1.00000
#   2. 99, use_cls=True: TextRecOutput ['66'], score 0.99999
#   3. I, detected: RapidOCROutput ['_'], score 0.96070
#   3. I, recognition alone: TextRecOutput ['I'], score 0.86656
#   4. 12 above 34: RapidOCROutput ['12', '34'], score 0.99998, 1.00000
#   4. with use_det=False: TextRecOutput ['24'], score 0.59732
#   4. the first call again: TextRecOutput ['24'], score 0.59732
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    rapidocr==3.10.0 onnxruntime==1.32.0 opencv-python-headless==5.0.0.93 pillow==13.0.0 numpy==2.4.6

cat > "$folder/misread.py" <<'PY'
import sys

from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR


def drawn(text: str, font_px: int, size: tuple[int, int]) -> Image.Image:
    """Draw text in the middle of a white picture."""
    image = Image.new("RGB", size, "white")
    middle = (size[0] / 2, size[1] / 2)
    ImageDraw.Draw(image).text(middle, text, "black", font=ImageFont.load_default(font_px), anchor="mm")
    return image


def report(what: str, found) -> list[str]:
    """Print what was read, and return it."""
    read = list(found.txts or ())
    scores = ", ".join(f"{score:.5f}" for score in found.scores or ())
    print(f"{what}: {type(found).__name__} {read}, score {scores}")
    return read


params = {
    "Global.log_level": "critical",
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}
engine = RapidOCR(params=params)
both = {"use_det": True, "use_cls": False, "use_rec": True}
alone = {"use_det": False, "use_cls": False, "use_rec": True}
seen = []

found = engine(drawn("12 7", 20, (300, 200)), **both)
seen.append(report("1. 12 7", found) == ["127"] and found.scores[0] > 0.999)

nines = drawn("99", 64, (100, 100))
for use_cls, expected in ((False, "99"), (True, "66")):
    found = engine(nines, **{**alone, "use_cls": use_cls})
    seen.append(report(f"2. 99, use_cls={use_cls}", found) == [expected] and found.scores[0] > 0.999)

seen.append(report("3. I, detected", engine(drawn("I", 40, (300, 200)), **both)) == ["_"])
seen.append(report("3. I, recognition alone", engine(drawn("I", 40, (20, 40)), **alone)) == ["I"])

lines = drawn("12\n34", 40, (300, 200))
engine = RapidOCR(params=params)  # one that was given no flag yet
found = engine(lines)
seen.append(report("4. 12 above 34", found) == ["12", "34"] and type(found).__name__ == "RapidOCROutput")
report("4. with use_det=False", engine(lines, use_det=False))
found = engine(lines)
seen.append(len(report("4. the first call again", found)) == 1 and type(found).__name__ == "TextRecOutput")
sys.stdout.flush()
sys.exit(0 if all(seen) else "the behaviour has changed")
PY
"$folder/venv/bin/python" "$folder/misread.py"
