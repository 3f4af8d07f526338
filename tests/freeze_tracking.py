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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tracking_scenes import CLIPS, SIZE, Clip, clip, id_map

GOLDEN = Path(__file__).parent / "golden" / "tracking"
MOT_KINDS = (1, 1, 1, 7, 8, 3, 6)
"""Class of each kind of box in MOTChallenge's truth: mostly pedestrians, some distractors, a car."""
BDD_KINDS = ("pedestrian", "car", "rider", "other vehicle", "bicycle")
"""Class of each kind of box in BDD100K's files; boxes that MOTChallenge flags are crowds."""
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


def bdd_frames(made: Clip, encode: Callable[[np.ndarray], str] | None) -> tuple[list[Any], list[Any]]:
    """(truth, results) of a clip as Scalabel frames, of masks where they can be encoded, else of boxes."""
    sides = []
    for side in (made.truth, made.found):
        frames = []
        for index, boxes in enumerate(side):
            drawn, labels = id_map(boxes), []
            for place, box in enumerate(boxes, start=1):
                (x, y), (wide, high) = box.corner, box.extent
                shape: dict[str, Any] = {"box2d": {"x1": x, "y1": y, "x2": x + wide, "y2": y + high}}
                if encode is not None:
                    shape = {"rle": {"counts": encode(drawn == place), "size": list(SIZE)}}
                if encode is None or (drawn == place).any():
                    flags = {"crowd": box.flag == 0}
                    label = {"id": str(box.object_id), "category": BDD_KINDS[box.kind], "attributes": flags, **shape}
                    labels.append(label)
            name = f"{made.name}-{index + 1:07d}.jpg"
            frames.append({"videoName": made.name, "name": name, "frameIndex": index, "labels": labels})
        sides.append(frames)
    return sides[0], sides[1]


def bdd_bitmasks(made: Clip) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(truth, results) of a clip as BDD100K's bitmasks, uint8 [H, W, 4] a frame; distractors are ignored cars."""
    categories = (1, 3, 2, 3, 8)
    sides = []
    for side in (made.truth, made.found):
        frames = []
        for boxes in side:
            drawn, pixels = id_map(boxes), np.zeros((*SIZE, 4), np.uint8)
            for place, box in enumerate(boxes, start=1):
                bits = (2 if box.flag == 0 else 0) | (1 if box.kind == 3 else 0) | 4
                pixels[drawn == place] = (categories[box.kind], bits, box.object_id >> 8, box.object_id & 255)
            frames.append(pixels)
        sides.append(frames)
    return sides[0], sides[1]


def rle_text(mask: np.ndarray) -> str:
    """COCO's compressed run lengths of a mask, bool [H, W]."""
    from pycocotools import mask as coco_mask

    return str(coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"].decode("ascii"))


def freeze_scalabel() -> dict[str, Scores]:
    """BDD100K's scores: boxes, masks as run lengths, and masks as bitmasks."""
    found: dict[str, dict[str, Any]] = {"boxes": {}, "run_lengths": {}, "bitmasks": {}}
    for members in (*([name] for name in CLIPS), list(CLIPS)):
        key = members[0] if len(members) == 1 else "all"
        clips = [clip(name, kinds=len(BDD_KINDS)) for name in members]
        with tempfile.TemporaryDirectory() as folder:
            found["boxes"][key] = _scalabel_json(clips, None, Path(folder) / "frames.json")
            found["run_lengths"][key] = _scalabel_json(clips, rle_text, Path(folder) / "frames.json")
            found["bitmasks"][key] = _scalabel_bitmasks(clips, Path(folder))
    return found


def _scalabel_json(clips: Sequence[Clip], encode: Callable[[np.ndarray], str] | None, path: Path) -> dict[str, float]:
    from bdd100k.common.utils import load_bdd100k_config
    from bdd100k.label.to_scalabel import bdd100k_to_scalabel
    from scalabel.eval.mot import acc_single_video_mot, evaluate_track
    from scalabel.eval.mots import acc_single_video_mots, evaluate_seg_track
    from scalabel.label.io import group_and_sort, load

    config = load_bdd100k_config("box_track" if encode is None else "seg_track")
    sides = []
    for side in (0, 1):
        path.write_text(json.dumps([frame for made in clips for frame in bdd_frames(made, encode)[side]]))
        sides.append(group_and_sort(bdd100k_to_scalabel(load(str(path), 1).frames, config)))
    if encode is None:
        return _flat(evaluate_track(acc_single_video_mot, *sides, config.scalabel, nproc=1).dict())
    return _flat(evaluate_seg_track(acc_single_video_mots, *sides, config.scalabel, nproc=1).dict())


def _scalabel_bitmasks(clips: Sequence[Clip], home: Path) -> dict[str, float]:
    from bdd100k.common.utils import group_and_sort_files, list_files, load_bdd100k_config
    from bdd100k.eval.mots import evaluate_seg_track
    from PIL import Image

    for made in clips:
        for side, frames in zip(("gt", "found"), bdd_bitmasks(made), strict=True):
            (home / side / made.name).mkdir(parents=True)
            for index, pixels in enumerate(frames):
                Image.fromarray(pixels).save(home / side / made.name / f"{made.name}-{index + 1:07d}.png")
    files = [group_and_sort_files(list_files(str(home / side), ".png", True)) for side in ("gt", "found")]
    config = load_bdd100k_config("seg_track")
    return _flat(evaluate_seg_track(*files, config.scalabel, nproc=1).dict())


def _flat(result: Mapping[str, Any]) -> dict[str, float]:
    """Score or "score/class" -> number; NaN and infinities, which JSON cannot hold, as text."""
    flat: dict[str, Any] = {}
    for name, value in result.items():
        if isinstance(value, list):
            flat |= {f"{name}/{key}": number for group in value for key, number in group.items()}
        else:
            flat[name] = value
    return {key: value if np.isfinite(value) else str(float(value)) for key, value in flat.items()}


def freeze_trackeval() -> dict[str, Scores]:
    """HOTA, CLEAR and Identity of TrackEval, box protocols and masks."""
    boxes = {name: mot_lines(clip(name, kinds=len(MOT_KINDS))) for name in CLIPS}
    drawn, shifted = ({name: mots_lines(clip(name, kinds=3), rle_text, first) for name in CLIPS} for first in (1, 0))
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


TOOLS: Mapping[str, Callable[[], Mapping[str, Any]]] = {"scalabel": freeze_scalabel, "trackeval": freeze_trackeval}


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
