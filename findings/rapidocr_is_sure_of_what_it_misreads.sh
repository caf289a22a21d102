#!/usr/bin/env bash
# rapidocr 3.10.0 (onnxruntime 1.32.0): plain black print on white is misread, with a score near 1, and a call changes the next.
#
# All text is drawn by Pillow with its own font, in the middle of the picture.
# 1. "12 7" at 20 pixels, detection and recognition: two numbers are read as one, 127, with a score above 0.999.
# 2. "99" at 64 pixels, recognition alone: 99 without the angle classifier, 66 with it, and the scores do not tell which is right.
#    The classifier is on by default (`use_cls: true` in the package's config.yaml), and turns the picture upside down.
# 3. "I" at 40 pixels, detection and recognition: `_`.  What is at least 1.5 times as high as wide is laid on its side before it is
#    read (`get_rotate_crop_image`).  Recognition alone reads SHE.
# 4. The flags of a call stay.  "12" above "34" is read as two texts; after one `engine(image, use_det=False)` a plain `engine(image)` only
#    recognises, too: its answer is a TextRecOutput with one text, not a RapidOCROutput with two.
#
# Do not take the score for a check; give all three flags at each call, `use_cls=False` where text is upright; and cut at wide gaps oneself.
#
# Seen (Python 3.11.7):
SEEN
