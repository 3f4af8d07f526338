"""Freeze what the official trackers' evaluators say of the clips in `tracking_scenes.py`.

Not a test: run it in an environment that has the tool (`trackeval`, or `scalabel` with `bdd100k`), see
`golden/tracking/README.md`. It writes `golden/tracking/<tool>.json`: protocol -> clip (or "all") -> score -> number.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tracking_scenes import CLIPS, SIZE, Clip, clip, id_map

GOLDEN = Path(__file__).parent / "golden" / "tracking"
MOT_KINDS = (1, 1, 1, 7, 8, 3, 6)
"""Class of each kind of box in MOTChallenge's truth: mostly pedestrians, some distractors, a car."""
Scores = Mapping[str, Mapping[str, float]]


def mot_lines(made: Clip) -> tuple[str, str]:
    """(truth, results) of a clip as MOTChallenge text."""
    truth = [
        f"{frame},{box.object_id},{','.join(map(str, box.numbers))},{box.flag},{MOT_KINDS[box.kind]},1\n"
        for frame, boxes in enumerate(made.truth, start=1)
        for box in boxes
    ]
    found = [
        f"{frame},{box.object_id},{','.join(map(str, box.numbers))},1,-1,-1,-1\n"
        for frame, boxes in enumerate(made.found, start=1)
        for box in boxes
    ]
    return "".join(truth), "".join(found)


def mots_lines(made: Clip, encode: Callable[[np.ndarray], str], first_frame: int = 1) -> tuple[str, str]:
    """(truth, results) of a clip of three kinds as MOTS text: cars, pedestrians, and a region to ignore."""
    sides = []
    for side, kinds in ((made.truth, (1, 2, 10)), (made.found, (1, 2, 2))):
        lines = []
        for frame, boxes in enumerate(side, start=first_frame):
            drawn = id_map(boxes)
            for place, box in enumerate(boxes, start=1):
                if (drawn == place).any():
                    kind = kinds[box.kind]
                    number = kind * 1000 + (0 if kind == 10 else box.object_id)
                    lines.append(f"{frame} {number} {kind} {SIZE[0]} {SIZE[1]} {encode(drawn == place)}\n")
        sides.append("".join(lines))
    return sides[0], sides[1]


def freeze_trackeval() -> dict[str, Scores]:
    """HOTA, CLEAR and Identity of TrackEval, box protocols and masks."""
    from pycocotools import mask as coco_mask

    def encode(mask: np.ndarray) -> str:
        return coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"].decode("ascii")

    boxes = {name: mot_lines(clip(name, kinds=len(MOT_KINDS))) for name in CLIPS}
    drawn, shifted = ({name: mots_lines(clip(name, kinds=3), encode, first) for name in CLIPS} for first in (1, 0))
    found = {
        protocol: _trackeval("MotChallenge2DBox", boxes, {"BENCHMARK": benchmark, "DO_PREPROC": has_preprocessing})
        for protocol, benchmark, has_preprocessing in (
            ("mot17", "MOT17", True), ("mot20", "MOT20", True), ("no_preprocessing", "MOT15", False),
        )
    }  # fmt: skip
    found["mots_pedestrian"] = _trackeval("MOTSChallenge", drawn, {})
    for kind in ("car", "pedestrian"):
        found[f"kitti_{kind}"] = _trackeval("KittiMOTS", shifted, {"CLASSES_TO_EVAL": [kind]})
    return found


def _trackeval(loader: str, files: Mapping[str, tuple[str, ...]], options: Mapping[str, Any]) -> Scores:
    import trackeval

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        home = Path(folder)
        place = "{gt_folder}/{seq}.txt"
        for name, (truth, found) in files.items():
            (home / "gt").mkdir(exist_ok=True)
            (home / "trackers/one/data").mkdir(parents=True, exist_ok=True)
            (home / "gt" / f"{name}.txt").write_text(truth)
            (home / "trackers/one/data" / f"{name}.txt").write_text(found)
        config = {"GT_FOLDER": str(home / "gt"), "TRACKERS_FOLDER": str(home / "trackers"), "GT_LOC_FORMAT": place}
        config |= {"SEQ_INFO": {name: clip(name).num_frames for name in files}, "SKIP_SPLIT_FOL": True}
        config |= {"PRINT_CONFIG": False, "TRACKERS_TO_EVAL": ["one"], **options}
        dataset = getattr(trackeval.datasets, loader)(config)
        metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(), trackeval.metrics.Identity()]
        (name,) = dataset.class_list
        each: dict[str, dict[str, float]] = {}
        for metric in metrics:
            results = {}
            for sequence in dataset.seq_list:
                data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("one", sequence), name)
                results[sequence] = metric.eval_sequence(data)
            # Of a sequence whose one side is empty TrackEval says less before it combines sequences than after.
            sets = {**{key: [key] for key in results}, "all": list(results)}
            for key, members in sets.items():
                combined = metric.combine_sequences({member: dict(results[member]) for member in members})
                each.setdefault(key, {}).update(dict(_plain(combined, with_alphas=key == "all")))
    return each


def _plain(values: Mapping[str, Any], *, with_alphas: bool) -> Iterator[tuple[str, float]]:
    """Fields as single numbers: arrays over alpha become their mean and, if wanted, one number an alpha."""
    for name, value in values.items():
        array = np.asarray(value, np.float64)
        if array.ndim and with_alphas:
            for alpha, number in zip(np.arange(0.05, 0.99, 0.05), array, strict=True):
                yield f"{name}@{alpha:.2f}", float(number)
        yield name, float(array.mean())


TOOLS: Mapping[str, Callable[[], Mapping[str, Any]]] = {"trackeval": freeze_trackeval}


def main() -> int:
    """Write the file of the tool that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=sorted(TOOLS))
    tool = parser.parse_args().tool
    GOLDEN.mkdir(parents=True, exist_ok=True)
    text = json.dumps(TOOLS[tool](), indent=1)
    (GOLDEN / f"{tool}.json").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
