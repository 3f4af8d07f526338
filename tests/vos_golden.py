"""Runs the official tools of video object segmentation on drawn videos and freezes input and output.

    python tests/vos_golden.py TOOLS      TOOLS holds checkouts named davis, vos_benchmark, sam2, lvos and mevis

The tools are not on a package index (except vos-benchmark), so the tests compare with what this wrote: `videos.npz` and
`void_videos.npz` hold the maps, `expected.json` what each tool says.
"""

from __future__ import annotations

import contextlib
import io
import json
import queue
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from vos_videos import (
    Video,
    drawn_videos,
    lvos_videos,
    mevis_videos,
    stored,
    void_videos,
    write_answers,
    write_lvos,
    write_mevis,
    write_objects,
    write_video,
)

GOLDEN = Path(__file__).parent / "golden/vos"


@contextlib.contextmanager
def tool(folder: Path, *modules: str) -> Iterator[None]:
    """Modules of a checkout can be imported inside."""
    sys.path.insert(0, str(folder))
    try:
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(invalid="ignore"):
            yield
    finally:
        sys.path.remove(str(folder))
        for name in [one for one in sys.modules if one.split(".")[0] in modules]:
            del sys.modules[name]


def davis(tools: Path, videos: Sequence[Video], folder: Path, task: str) -> dict[str, Any]:
    """Global and per-object scores of davis2017-evaluation."""
    labels = "Annotations" if task == "semi-supervised" else "Annotations_unsupervised"
    for video in videos:
        write_video(folder / "data" / labels / "480p", video, video.truth)
        write_video(folder / "data" / "JPEGImages" / "480p", video, video.truth)
        write_video(folder / "found", video, video.found)
        for path in (folder / "data/JPEGImages/480p" / video.name).iterdir():
            path.rename(path.with_suffix(".jpg"))
    (folder / "data/ImageSets/2017").mkdir(parents=True)
    (folder / "data/ImageSets/2017/val.txt").write_text("\n".join(video.name for video in videos), encoding="utf-8")
    with tool(tools / "davis", "davis2017"):
        from davis2017.evaluation import DAVISEvaluation

        found = DAVISEvaluation(davis_root=str(folder / "data"), task=task, gt_set="val").evaluate(
            str(folder / "found")
        )
    scores = {}
    for letter in ("J", "F"):
        parts = {"M": letter, "R": f"{letter}_recall", "D": f"{letter}_decay"}
        scores |= {name: float(np.mean(found[letter][key])) for key, name in parts.items()}
        scores |= {f"{letter}_per_object": {key: float(value) for key, value in found[letter]["M_per_object"].items()}}
    return scores


def vos_benchmark(tools: Path, videos: Sequence[Video], folder: Path) -> dict[str, Any]:
    """J and F of every object of vos-benchmark."""
    for video in videos:
        write_video(folder / "truth", video, video.truth)
        write_video(folder / "found", video, video.found)
    with tool(tools / "vos_benchmark", "vos_benchmark"):
        from vos_benchmark.benchmark import benchmark

        *_, objects = benchmark([str(folder / "truth")], [str(folder / "found")], num_processes=1, verbose=False)
    return _per_object(objects[0])


def sav(tools: Path, videos: Sequence[Video], folder: Path) -> dict[str, Any]:
    """J and F of every object of SA-V's evaluator, from one folder an object."""
    for video in videos:
        ids = sorted(set(np.unique(video.truth[1:-1]).tolist()) - {0})
        write_objects(folder / "truth", video, video.truth, ids)
        write_objects(folder / "found", video, video.found, ids)
    with tool(tools / "sam2/sav_dataset", "utils"):
        from utils.sav_benchmark import benchmark

        *_, objects = benchmark([str(folder / "truth")], [str(folder / "found")], num_processes=1, verbose=False)
    return _per_object(objects[0])


def lvos(tools: Path, videos: Sequence[Video], folder: Path) -> dict[str, Any]:
    """J, F and V of lvos-evaluation, of every object and of both groups."""
    write_lvos(folder / "data", videos)
    for video in videos:
        write_video(folder / "found", video, video.found)
    with tool(tools / "lvos", "lvos"), contextlib.chdir(tools / "lvos"):
        from lvos import evaluation

        # Bridge: NumPy 2.4 no longer stores an array of one value where a number goes.
        for name in ("db_eval_iou", "db_eval_boundary"):
            setattr(evaluation, name, _first_value(getattr(evaluation, name)))
        run = evaluation.LVOSEvaluation(lvos_root=str(folder / "data"), task="semi-supervised", gt_set="valid")
        everything, *groups = run.evaluate(str(folder / "found"))
    scores: dict[str, Any] = {}
    for letter in ("J", "F", "V"):
        values = everything[letter]["M_per_object"]
        scores[f"{letter}_per_object"] = {name: float(value) for name, value in values.items()}
        for name, group in zip(("seen", "unseen"), groups, strict=True):
            scores[f"{letter}_{name}"] = float(np.mean(group[letter]["M"]))
        scores[letter] = (scores[f"{letter}_seen"] + scores[f"{letter}_unseen"]) / 2
    return scores


def mevis(tools: Path, videos: Sequence[Video], folder: Path) -> dict[str, Any]:
    """(J, F) of every expression of MeViS' script, which looks its files up in names of its own module."""
    write_mevis(folder / "truth", videos)
    write_answers(folder / "found", videos)
    found: dict[str, Any] = {}
    with tool(tools / "mevis/tools", "eval_mevis", "metrics"):
        import eval_mevis

        eval_mevis.exp_dict = json.loads((folder / "truth/meta_expressions.json").read_text(encoding="utf-8"))["videos"]
        eval_mevis.mask_dict = json.loads((folder / "truth/mask_dict.json").read_text(encoding="utf-8"))
        work: queue.Queue[list[str]] = queue.Queue()
        for name, video in eval_mevis.exp_dict.items():
            for key in video["expressions"]:
                work.put([name, key])
        eval_mevis.eval_queue(work, 0, found, str(folder / "found"))
    return {name: [float(value) for value in pair] for name, pair in found.items()}


def _first_value(measure: Callable[..., Any]) -> Callable[..., float]:
    return lambda *arguments, **options: float(np.squeeze(measure(*arguments, **options)))


def _per_object(objects: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, dict[str, float]] = {"J": {}, "F": {}}
    for name, (regions, contours) in objects.items():
        for key in regions:
            found["J"][f"{name}_{int(key)}"] = float(regions[key]) / 100
            found["F"][f"{name}_{int(key)}"] = float(contours[key]) / 100
    return found


def main(tools: Path) -> None:
    """Write the golden files."""
    videos, voids = drawn_videos(), void_videos()
    runs: dict[str, Callable[[Path], dict[str, Any]]] = {
        "davis": lambda folder: davis(tools, videos, folder, "semi-supervised"),
        "davis_unsupervised": lambda folder: davis(tools, [*videos, *voids], folder, "unsupervised"),
        "vos_benchmark": lambda folder: vos_benchmark(tools, [*videos, *voids], folder),
        "sav": lambda folder: sav(tools, videos, folder),
        "mevis": lambda folder: mevis(tools, mevis_videos(videos), folder),
        "lvos": lambda folder: lvos(tools, lvos_videos(videos), folder),
    }
    expected: dict[str, Any] = {"revisions": {}}
    for path in sorted(tools.iterdir()):
        done = subprocess.run(
            ["git", "-C", str(path), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
        expected["revisions"][path.name] = done.stdout.strip()
    for name, run in runs.items():
        with tempfile.TemporaryDirectory() as folder:
            expected[name] = run(Path(folder))
    GOLDEN.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(GOLDEN / "videos.npz", **stored(videos))
    np.savez_compressed(GOLDEN / "void_videos.npz", **stored(voids))
    (GOLDEN / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
