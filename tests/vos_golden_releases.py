"""Runs the official tools of later video benchmarks on the frozen videos and freezes what they say.

    python tests/vos_golden_releases.py TOOLS      TOOLS holds mose2, visa, videolisa and referformer, as downloaded

Input are the maps of `golden/vos/videos.npz`; `releases.json` holds the output. See `golden/vos/README.md`.
"""

from __future__ import annotations

import contextlib
import io
import json
import queue
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from vos_golden import GOLDEN, tool
from vos_videos import (
    Video,
    restored,
    revos_videos,
    write_raw_answers,
    write_reasonvos,
    write_revos,
    write_sentences,
    write_video,
)

MOSE2_PARTS = ("J", "F_new", "F", "disappear_J", "disappear_F", "reappear_J", "reappear_F")
STORED_AS = (1, 255)
"""Values with which the masks of a ReVOS result are stored; the tool's A and R depend on it."""


def mose2(tools: Path, videos: Sequence[Video], folder: Path) -> dict[str, dict[str, float | None]]:
    """Scores of every object of MOSEv2's tool."""
    scores: dict[str, dict[str, float | None]] = {}
    with tool(tools / "mose2", "score", "metricsv2", "track_progress_rich"):
        import score

        for video in videos:
            write_video(folder / "truth", video, video.truth)
            write_video(folder / "found", video, video.found)
            num, height, width = video.truth.shape
            meta = {video.name: {"length": num, "height": height, "width": width}}
            for one in range(1, int(video.truth[0].max()) + 1):
                arguments = (video.name, meta, str(folder / "found"), str(folder / "truth"))
                chunks = [
                    score.process_video_chunk(*arguments, start, min(start + 15, num - 1), str(one), 0)
                    for start in range(1, num - 1, 15)
                ]
                merged = score.merge_chunk_results(chunks, video.name, str(one))
                values = [None if value is None else float(value) for value in merged]
                scores[f"{video.name}_{one}"] = dict(zip(MOSE2_PARTS, values, strict=True))
    return scores


def revos(tools: Path, videos: Sequence[Video], folder: Path, value: int) -> dict[str, list[float]]:
    """J, F, A and R of every expression of ReVOS' tool. value: with which masks of the result are stored."""
    write_revos(folder / "data", videos)
    write_raw_answers(folder / "found", videos, value)
    expressions = json.loads((folder / "data/meta_expressions_valid_.json").read_text(encoding="utf-8"))["videos"]
    pairs = [[name, key] for name, video in expressions.items() for key in video["expressions"]]
    tasks: queue.Queue[list[str]] = queue.Queue()
    for pair in pairs:
        tasks.put(pair)
    out: dict[str, list[float]] = {}
    with tool(tools / "visa", "eval_revos", "metrics"):
        import eval_revos

        eval_revos.exp_dict = expressions
        eval_revos.mask_dict = json.loads((folder / "data/mask_dict.json").read_text(encoding="utf-8"))
        foreground = (folder / "data/mask_dict_foreground.json").read_text(encoding="utf-8")
        eval_revos.mask_dict_foreground = json.loads(foreground)
        with contextlib.redirect_stderr(io.StringIO()):
            eval_revos.eval_queue(tasks, 0, out, str(folder / "found"))
    return {name: [float(one) for one in values] for name, values in out.items()}


def reasonvos(tools: Path, videos: Sequence[Video], folder: Path) -> dict[str, list[float]]:
    """J and F of every expression of ReasonVOS' tool."""
    write_reasonvos(folder / "data", folder / "found", videos)
    tasks: queue.Queue[list[str]] = queue.Queue()
    for path in sorted((folder / "found").glob("*/*")):
        tasks.put([path.parent.name, path.name])
    out: dict[str, list[float]] = {}
    with tool(tools / "videolisa", "eval_reason_vos", "metrics"):
        import eval_reason_vos

        eval_reason_vos.eval_queue(tasks, 0, out, str(folder / "data/Annotations"), str(folder / "found"))
    return {name: [float(one) for one in values] for name, values in out.items()}


def sentences(tools: Path, videos: Sequence[Video], folder: Path) -> dict[str, float]:
    """Scores of A2D-Sentences' tool."""
    write_sentences(folder, folder / "found.json", videos)
    with tool(tools / "referformer", "a2d_eval"):
        from a2d_eval import calculate_precision_at_k_and_iou_metrics
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        truth = COCO(str(folder / "a2d_sentences_test_annotations_in_coco_format.json"))
        found = truth.loadRes(str(folder / "found.json"))
        run = COCOeval(truth, found, iouType="segm")
        run.params.useCats = 0
        run.evaluate()
        run.accumulate()
        run.summarize()
        at_k, overall, mean = calculate_precision_at_k_and_iou_metrics(truth, found)
    names = ("mAP", "AP50", "AP75", "APs", "APm", "APl", "P@0.5", "P@0.6", "P@0.7", "P@0.8", "P@0.9", "oIoU", "mIoU")
    return dict(zip(names, map(float, [*run.stats[:6], *at_k, overall, mean]), strict=True))


def main() -> None:
    """Freeze the output of every tool."""
    tools = Path(sys.argv[1])
    videos = restored(dict(np.load(GOLDEN / "videos.npz")))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found["mose2"] = mose2(tools, videos, folder / "mose2")
        for value in STORED_AS:
            found[f"revos_{value}"] = revos(tools, revos_videos(videos), folder / f"revos{value}", value)
        found["reasonvos"] = reasonvos(tools, revos_videos(videos), folder / "reasonvos")
        found["sentences"] = sentences(tools, revos_videos(videos), folder / "sentences")
    text = json.dumps(found, indent=1, sort_keys=True)
    (GOLDEN / "releases.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
