"""What the truth replayed and what nothing scores, where that is not 1 and 0, each with its derivation.

Keys are rows; a row that is not listed has the ceiling 1 and the floor 0 in its main score on its miniature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import expression_limits
import object_limits
import track_limits

from benchmark import catalog
from benchmark.contract import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """ceiling, floor: of the main score, derived from the samples of the miniature. why: the derivation in words."""

    ceiling: Callable[[Sequence[Sample]], float]
    floor: Callable[[Sequence[Sample]], float]
    why: str


def constant(value: float) -> Callable[[Sequence[Sample]], float]:
    """The same whatever the samples."""
    return lambda samples: value


USUAL = Limits(ceiling=constant(1.0), floor=constant(0.0), why="everything is right, or nothing is")


def _success(*, needs_corner: bool, reads_flags: bool, why: str) -> Limits:
    ceiling = track_limits.perfect_auc(needs_corner=needs_corner, reads_flags=reads_flags)
    floor = track_limits.given_auc(needs_corner=needs_corner, reads_flags=reads_flags)
    return Limits(ceiling=ceiling, floor=floor, why=f"{why} Nothing exceeds IoU 1; frame 1 is the truth's.")


_LASOT = _success(needs_corner=True, reads_flags=True, why="Absent frames and boxes at a corner 0 never succeed.")
_TNL2K = _success(needs_corner=False, reads_flags=False, why="Frames without a box never succeed, flags are not read.")
_TRACKINGNET = Limits(
    ceiling=constant(1.0),
    floor=track_limits.given_success,
    why="Frame 1 is the truth's, and a box of no overlap passes the threshold 0.",
)
_BDD100K = Limits(
    ceiling=track_limits.share_of_classes(8),
    floor=constant(0.0),
    why="The mean is over eight classes, those without an object enter as 0. Without an answer MOTA is 1 - FN / GT.",
)


_REASONSEG = Limits(
    ceiling=expression_limits.perfect_reason_seg,
    floor=expression_limits.silent_reason_seg,
    why="1e-5 is added to every union; two empty masks agree.",
)


_SACO = Limits(
    ceiling=expression_limits.perfect_cgf1,
    floor=constant(0.0),
    why="1e-4 and 1e-6 are added to the denominators; without a mask recall and so F1 are 0.",
)


def _silent(floor: Callable[[Sequence[Sample]], float]) -> Limits:
    why = "Two empty masks agree: silence is right in the frames without the object."
    return Limits(ceiling=constant(1.0), floor=floor, why=why)


_MAPILLARY = Limits(
    ceiling=constant(1.0),
    floor=constant(math.nan),
    why="Void is no miss: where everything is called void no pixel is left to score.",
)

LIMITS: dict[str, Limits] = {
    **{name: _silent(floor) for name, floor in object_limits.floors().items()},
    **dict.fromkeys(("lasot_sot_test", "lasot_sot_train", "lasot_ext_sot_test"), _LASOT),
    **dict.fromkeys(("tnl2k_sot_test", "tnl2k_sot_train"), _TNL2K),
    **dict.fromkeys(("trackingnet_sot_test", "trackingnet_sot_train"), _TRACKINGNET),
    **{name: _SACO for name in catalog.BENCHMARKS if name.startswith("saco_gold_")},
    **{f"reasonseg_referring_{split}": _REASONSEG for split in ("train", "val", "test")},
    **{f"bdd100k_{task}_{split}": _BDD100K for task in ("mot", "mots") for split in ("train", "val", "test")},
    **{f"mapillary_semantic_{v}_{split}": _MAPILLARY for v in ("v12", "v20") for split in ("train", "val", "test")},
}
