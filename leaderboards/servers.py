"""Every evaluation server: what it takes, how often, what it refuses, and what is known of its state.

State, address and evidence come from `benchmark.servers`, which `python -m benchmark list` shows, too. A closed server
keeps its entry: successors keep the layout, and people keep archives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from benchmark import catalog, servers
from benchmark.row import Benchmark
from benchmark.servers import ServerState
from leaderboards.families import form_of
from leaderboards.forms import Form

UNSTATED = "no limit is stated"
NO_FOLDER = "a folder above the results"
INCOMPLETE = "a missing image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """submissions: how often one may submit. size: the limit in words. refuses: what is known to be refused."""

    submissions: str = UNSTATED
    size: str = UNSTATED
    refuses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server with its state, its rules, and the archive that it takes of each of its rows."""

    state: ServerState
    rules: Rules
    rows: tuple[Benchmark, ...]

    @property
    def form(self) -> Form | None:
        """The archive; None where the catalogue has no row of it."""
        return form_of(self.rows[0]) if self.rows else None


_COCO = Rules(
    submissions="test-dev 5 a day, test-challenge 5 in all",
    size="none stated; 300 MB zipped (1.2 GB of JSON) ran out of memory",
    refuses=("another file name", NO_FOLDER, "images outside the split"),
)
_CITYSCAPES = Rules(refuses=(INCOMPLETE, "two files for one image"))
_MOT = Rules(
    submissions="one in 72 hours, 4 of a method; the latest counts",
    refuses=(NO_FOLDER, "a missing sequence", "a name in other case", "an id twice in a frame", "frames outside"),
)
_BDD = Rules(refuses=("run lengths where bitmasks are asked for", "videos outside the split", "a missing frame"))
_FRAMES = ("a missing frame", "a missing video", "ids that were not given")
_VIS = Rules(refuses=("another name than results.json", NO_FOLDER, "videos outside the split", "an empty list"))

RULES: Mapping[str, Rules] = MappingProxyType(
    {
        "coco_detection": _COCO,
        "coco_instance": _COCO,
        "coco_panoptic": Rules(
            submissions=_COCO.submissions,
            refuses=(*_COCO.refuses, INCOMPLETE, "ids in the PNG that the JSON lacks, and the reverse"),
        ),
        "ade20k_semantic": Rules(refuses=(INCOMPLETE, "labels above 150")),
        "ade20k_instance": Rules(refuses=("categories outside 1 to 100",)),
        "cityscapes_semantic": _CITYSCAPES,
        "cityscapes_instance": _CITYSCAPES,
        "cityscapes_panoptic": _CITYSCAPES,
        "lvis": Rules(refuses=("images outside the split",)),
        "lvis_v05": Rules(refuses=("images outside the split",)),
        "openimages_detection": Rules(refuses=("a test image without a row (by hearsay)",)),
        "openimages_instance": Rules(refuses=("a test image without a row (by hearsay)",)),
        "odinw": Rules(),
        "seginw": Rules(refuses=("a file that is no JSON", "another name than seginw_<data set>_val.json")),
        "bdd100k_semantic": _BDD,
        "bdd100k_instance": _BDD,
        "bdd100k_mot": Rules(refuses=("videos outside the split", "an id twice in a frame")),
        "bdd100k_mots": _BDD,
        "davis17": Rules(refuses=(NO_FOLDER, *_FRAMES)),
        "davis17_unsupervised": Rules(refuses=(NO_FOLDER, "a missing frame", "more than 20 proposals")),
        "youtube_vos18": Rules(refuses=("no folder Annotations at the root", *_FRAMES)),
        "youtube_vos19": Rules(refuses=("no folder Annotations at the root", *_FRAMES)),
        "mose": Rules(refuses=_FRAMES),
        "mose2": Rules(refuses=("a missing frame", "ids that were not given", "a missing video (scores 0)")),
        "mevis": Rules(refuses=(NO_FOLDER, "palette PNGs, whose dark colours vanish", "a missing frame")),
        "lvos_v1": Rules(refuses=("no folder Annotations at the root", *_FRAMES)),
        "lvos_v2": Rules(refuses=("no folder Annotations at the root", *_FRAMES)),
        "ref_youtube_vos": Rules(refuses=("no folder Annotations at the root", "a missing frame")),
        "youtube_vis19": _VIS,
        "youtube_vis21": _VIS,
        "ovis": _VIS,
        "mot15": _MOT,
        "mot16": _MOT,
        "mot17": _MOT,
        "mot20": _MOT,
        "motschallenge": Rules(submissions=_MOT.submissions, refuses=(*_MOT.refuses, "masks that overlap")),
        "tao": Rules(
            submissions=_MOT.submissions, refuses=(NO_FOLDER, "a missing split's file (an empty list is taken)")
        ),
        "kitti_mots": Rules(
            submissions="one in 72 hours",
            size="500 MB of unpacked files",
            refuses=(NO_FOLDER, "a missing sequence", "masks that overlap", "an id twice in a frame"),
        ),
        "trackingnet": Rules(refuses=("a missing video (scores 0)", "fewer boxes than frames (they fail)")),
        "got10k": Rules(refuses=("a missing video", "another number of boxes than frames", "more than 3 runs")),
        "mapillary": Rules(submissions="3 for a challenge"),
    }
)


@cache
def all_servers() -> Mapping[str, Server]:
    """All servers by their keys."""
    rows = (*catalog.BENCHMARKS.values(), *catalog.TRAINING.values())
    return MappingProxyType(
        {
            key: Server(state=state, rules=RULES[key], rows=tuple(row for row in rows if state.is_for(row.name)))
            for key, state in servers.states().items()
        }
    )


def server_of(row: Benchmark) -> Server | None:
    """The server of a row; None where there never was one."""
    state = servers.state_of(row.name)
    return None if state is None else all_servers()[state.key]
