#!/usr/bin/env bash
# rapidocr 3.10.0 (onnxruntime 1.32.0): at the same height, the narrower a picture is, the longer the search for text takes.
#
# 1. A white picture with one black pixel, 25 wide and 200 high, has an eighth of the pixels of one of 200 x 200.
#    Expected: detection takes no longer for it.  Seen: nine to twelve times the CPU time, and three times the memory.
# 2. The cause is in the installed package.  Its `config.yaml` has `limit_type: min` and `limit_side_len: 736` under `Det`, and
#    `DetPreProcess.resize` (ch_ppocr_det/utils.py) enlarges a picture, in proportion, until its shorter side has 736 pixels.
# 3. Nothing bounds the longer side then: `max_side_len: 2000` is applied before that, to the picture as it comes.
#
# Whoever takes pictures from others adds background beside a narrow one first: on 200 x 200 it costs what 200 x 200 costs.
#
# Seen (Python 3.11.7, Linux, one thread; memory is the peak of the process so far, the model included):
#   limit_type min, limit_side_len 736
#   200 x 200: the network gets 736 x 736; 0.2 s of CPU time, 304 MB
#   50 x 200: the network gets 736 x 2944; 1.1 s of CPU time, 690 MB
#   25 x 200: the network gets 736 x 5888; 2.6 s of CPU time, 1063 MB
#   25 x 200 takes 10.9 times as long as 200 x 200
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    rapidocr==3.10.0 onnxruntime==1.32.0 opencv-python-headless==5.0.0.93 pillow==13.0.0 numpy==2.4.6

cat > "$folder/narrow.py" <<'PY'
import resource
import sys
import time

from PIL import Image
from rapidocr import RapidOCR

HEIGHT = 200
WIDTHS = (200, 50, 25)  # no narrower: time and memory grow on

engine = RapidOCR(
    params={
        "Global.log_level": "critical",
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    }
)


def seconds(width: int) -> float:
    """Return the CPU time that one search for text takes."""
    image = Image.new("RGB", (width, HEIGHT), "white")
    image.putpixel((width // 2, HEIGHT // 2), (0, 0, 0))
    start = time.process_time()
    engine(image, use_det=True, use_cls=False, use_rec=False)
    return time.process_time() - start


seconds(WIDTHS[0])  # loads the model
network, shapes = engine.text_det.session, []


def noted(batch):
    """Run the network, and note what it is given."""
    shapes.append(batch.shape)
    return network(batch)


engine.text_det.session = noted
limits = engine.cfg.Det.limit_type, engine.cfg.Det.limit_side_len
print(f"limit_type {limits[0]}, limit_side_len {limits[1]}")
took = {}
for width in WIDTHS:
    took[width] = min(seconds(width) for _ in range(2))
    high, wide = shapes[-1][2:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cost = f"{took[width]:.1f} s of CPU time, {peak:.0f} MB"
    print(f"{width} x {HEIGHT}: the network gets {wide} x {high}; {cost}")
ratio = took[25] / took[200]
print(f"25 x 200 takes {ratio:.1f} times as long as 200 x 200")
sys.stdout.flush()
sys.exit("the behaviour has changed" if limits != ("min", 736) or ratio < 4 else 0)
PY
"$folder/venv/bin/python" "$folder/narrow.py"
