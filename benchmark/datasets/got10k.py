"""GOT-10k: one object of 563 classes, none of which is in both training and test.

{got10k, GOT-10k, GOT10k, .}/{train,val,test}/list.txt
{...}/val/GOT-10k_Val_000001/{groundtruth.txt, cover.label, absence.label, meta_info.ini, 00000001.jpg}

Test has the first frame's box alone; the rest is the server's (http://got-10k.aitestunion.com).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmark import result_forms
from benchmark.contract import Prediction, PredictionSet, Sample, SampleSet, Task
from benchmark.datasets import box_tracking, single_targets
from benchmark.datasets.box_tracking import BoxTrackLayout
from benchmark.datasets.pictures import the_folder
from benchmark.formats import box_results, box_videos
from benchmark.formats.box_videos import VideoFiles
from benchmark.result_forms import ResultForm
from benchmark.row import Benchmark


def video_files(folder: Path, *, is_private: bool = False) -> VideoFiles:
    """The files of a video. folder: `<split>/<video>`."""
    return VideoFiles(
        name=folder.name,
        boxes=folder / "groundtruth.txt",
        cover=None if is_private else folder / "cover.label",
        size=None if is_private else folder / "meta_info.ini",
        pictures=folder,
        is_private=is_private,
    )


def find(row: Benchmark, folder: Path, is_official: bool) -> Sequence[VideoFiles]:
    """The videos of the split's list; elsewhere any folder of them."""
    if not is_official:
        return box_tracking.folders(folder, video_files)
    home = folder / row.split
    names = box_videos.read_names(home / "list.txt")
    return [video_files(home / name, is_private=_is_private(row, home / name)) for name in names]


def _is_private(row: Benchmark, folder: Path) -> bool:
    """The files that tell more than the first box are not published."""
    return row.truth == "private" and not (folder / "cover.label").is_file()


def _place(row: Benchmark, home: Path, number: int) -> VideoFiles:
    return video_files(home / row.split / f"GOT-10k_{row.split.capitalize()}_{number + 1:06d}")


class Got10kLayout(BoxTrackLayout):
    """GOT-10k's folders, with results of up to three runs and their times."""

    def result_forms(self, row: Benchmark) -> tuple[ResultForm, ...]:
        """A folder a video with a file a run, or one file a video."""
        holds = "x,y,width,height of a frame in each line; three runs at most"
        seconds = "seconds of a frame in each line, a column a run; optional"
        name = "results/<video>/<video>"
        return (ResultForm(files={f"{name}_<run>.txt": holds, f"{name}_time.txt": seconds}), result_forms.BOX_LINES)

    def read_predictions(
        self, row: Benchmark, path: Path, samples: SampleSet
    ) -> tuple[PredictionSet, Mapping[str, int]]:
        """A folder a video with a file a run, or a flat folder of one file a video."""
        files = box_results.runs_named(the_folder(path, row), samples.ids)
        box_results.require_some(files, path, samples.ids, f"{samples.ids[0]}/{samples.ids[0]}_001.txt")
        return box_results.read_runs(files)

    def write_predictions(self, row: Benchmark, path: Path, predictions: Iterable[tuple[Sample, Prediction]]) -> None:
        """A folder a video."""
        box_results.write_runs(path, predictions)


LAYOUT = Got10kLayout(
    roots=("got10k", "GOT-10k", "GOT10k", "got-10k", "."),
    how_to_get="Download GOT-10k from http://got-10k.aitestunion.com/downloads",
    landmark_of=lambda row: f"{row.split}/list.txt",
    find=find,
    place=_place,
    truth_of=single_targets.with_cover,
    list_of=lambda row: f"{row.split}/list.txt",
)
_row = partial(
    Benchmark,
    dataset="got10k",
    task=Task.SOT,
    labels="object",
    metric="average_overlap",
    main_score="AO",
    protocols=("got10k",),
    layout=LAYOUT,
)

ROWS = (
    _row(
        name="got10k_sot_val",
        split="val",
        num_samples=180,
        notes="AO pools the frames of all videos and repeated runs. SR75 is the server's; the toolkit stops at SR50. "
        "Speed is not among the scores.",
    ),
    _row(
        name="got10k_sot_test",
        split="test",
        num_samples=180,
        truth="private",
        notes="The honest protocol trains on GOT-10k train alone; test classes do not occur there.",
    ),
    _row(name="got10k_sot_train", split="train", num_samples=9335, is_train=True),
)
