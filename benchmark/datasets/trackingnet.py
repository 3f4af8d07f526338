"""TrackingNet: one object through 30,643 videos of half a minute, a sample of YouTube-BB.

{trackingnet, TrackingNet, .}/TEST/anno/<video>.txt, TEST/frames/<video>/{0,1,2,...}.jpg
{trackingnet, TrackingNet, .}/TRAIN_{0..11}/anno/<video>.txt, frames/...

Annotations of TEST hold the first frame's box; the rest is the server's (https://eval.ai, challenge 1805).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmark import box_tracks, result_forms
from benchmark.contract import Prediction, PredictionSet, SampleSet, Task
from benchmark.datasets import single_targets
from benchmark.datasets.box_tracking import BoxTrackLayout
from benchmark.datasets.pictures import the_folder
from benchmark.formats import box_results, box_text
from benchmark.formats.box_videos import VideoFiles
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark

TRAINING_PARTS = 12
VIDEOS_OF_A_PART = 2511
MISSING = "videos without a result file, which count as zero boxes, as the official devkit does"


def video_files(boxes: Path, *, is_private: bool = False) -> VideoFiles:
    """The files of a video. boxes: `<part>/anno/<video>.txt`."""
    return VideoFiles(
        name=boxes.stem,
        boxes=boxes,
        pictures=boxes.parent.parent / "frames" / boxes.stem,
        pattern="{}.jpg",
        first=0,
        is_private=is_private,
    )


def find(row: Benchmark, folder: Path, is_official: bool) -> Sequence[VideoFiles]:
    """The annotations of the split's parts; elsewhere any folder of them."""
    parts = [f"TRAIN_{number}" for number in range(TRAINING_PARTS)] if row.is_train else ["TEST"]
    folders = [folder / part / "anno" for part in parts]
    if not is_official:
        folders += [folder / "anno", folder]
        folders = next(([one] for one in folders if one.is_dir() and any(one.glob("*.txt"))), [])
    may_be_private = is_official and not row.is_train
    paths = [path for one in folders for path in sorted(one.glob("*.txt"))]
    return [video_files(path, is_private=may_be_private and box_text.holds_one_line(path)) for path in paths]


def _place(row: Benchmark, home: Path, number: int) -> VideoFiles:
    """The training videos go to the parts in turn."""
    part = f"TRAIN_{number % TRAINING_PARTS}" if row.is_train else "TEST"
    return video_files(home / part / "anno" / f"{row.split}video{number + 1:02d}_0.txt")


class TrackingNetLayout(BoxTrackLayout):
    """TrackingNet's folders, with the devkit's rule that a missing result is a result of zeros."""

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A text file a video, at any depth."""
        return (result_forms.one_kind("results/**/<video>.txt", "x,y,width,height of a frame in each line"),)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A folder with `<video>.txt` at any depth."""
        files = box_results.files_containing(the_folder(path, row), samples.ids)
        box_results.require_some(files, path, samples.ids, f"{samples.ids[0]}.txt")
        found, notes = box_results.read_files(files)
        places = {sample_id: index for index, sample_id in enumerate(samples.ids)}

        def build(sample_id: str) -> Prediction:
            if sample_id in found:
                return found[sample_id]
            truth = samples[places[sample_id]].truth
            return Prediction(frames=box_tracks.one_run(np.zeros((len(truth.frames) if truth else 0, 4))))

        missing = len(samples) - len(files)
        return PredictionSet(samples.ids, build), {**notes, **({MISSING: missing} if missing else {})}


LAYOUT = TrackingNetLayout(
    roots=("trackingnet", "TrackingNet", "."),
    how_to_get="Download TrackingNet with the devkit of https://tracking-net.org",
    landmark_of=lambda row: "TRAIN_0/anno" if row.is_train else "TEST/anno",
    find=find,
    place=_place,
    truth_of=single_targets.always_somewhere,
)
_row = partial(
    Benchmark,
    dataset="trackingnet",
    task=Task.SOT,
    labels="object",
    metric="trackingnet",
    main_score="Success",
    protocols=("devkit",),
    layout=LAYOUT,
)

ROWS = (
    _row(
        name="trackingnet_sot_test",
        split="test",
        num_samples=511,
        truth="private",
        notes="Precision is an area under a curve, not the value at 20 pixels. All coordinates are rounded to whole "
        "pixels. A missing file counts as zero boxes, a missing line fails; two files that fit one video are an error "
        "here and zero boxes there.",
    ),
    _row(
        name="trackingnet_sot_train",
        split="train",
        num_samples=TRAINING_PARTS * VIDEOS_OF_A_PART,
        is_train=True,
    ),
)
