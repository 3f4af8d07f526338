"""What the bdd100k toolkit counts on the bitmasks of `tests/bdd100k_maps.py`, printed as JSON; see README.md."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import bdd100k_maps
from bdd100k.eval.pan_seg import pq_per_image
from PIL import Image


def main() -> None:
    """Print one list a case: [class id, TP, FP, FN, summed IoU] of every class that occurs."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("truth.png", "found.png")]
        for case in range(bdd100k_maps.NUM_CASES):
            for path, pixels in zip(paths, bdd100k_maps.draw(case), strict=True):
                Image.fromarray(pixels, "RGBA").save(path)
            counts = pq_per_image(*map(str, paths)).pq_per_cats
            found.append([[int(kind), one.tp, one.fp, one.fn, float(one.iou)] for kind, one in sorted(counts.items())])
    json.dump(found, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
