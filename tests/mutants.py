"""The mutant catalogue: common mistakes made on the truth, what each costs, and the diagnosis that it must get.

Costs are derived from the worlds of `mutant_worlds`, never recorded:

    two pixels aside       IoU = 18 / 22, which passes the thresholds 0.5 to 0.8 (7 of 10), 0 to 0.8 (17 of 21)
    half of the answers    of 8 truths a class 4 are found without a false one: COCO samples recall 0 to 0.5, 51 of 101
    every object twice     the i-th hit of a class has precision i / (2 i - 1), equal scores keep file order; Cityscapes
                           joins the points of equal scores, all of precision 1 / 2 but for the start at 1
    a guess beside each    the same, and worse than a lower score would make it: no score says which is right
    one frame late         IoU = 16 / 24 at 4 pixels a frame, 12 x 18 of 584 pixels at (8, 2)
    ids exchanged halfway  each object shares 5 of 10 frames with a track: association 5 / 15, identity one half
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from mutant_worlds import NUM_FRAMES, NUM_IMAGES, NUM_LONG
from mutations import MUTATIONS
from replay import replayed

from benchmark.box_tracks import BoxTrack
from benchmark.contract import Annotation, Instances, Prediction, Sample

SHIFTED = 18 / 22
LATE = 16 / 24
LATE_LONG = 12 * 18 / (800 - 12 * 18)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """mutation: a key of `MUTATIONS`. costs: score -> what is left of it. diagnosis: its name, "" for none."""

    mutation: str
    costs: Mapping[str, float] = field(default_factory=dict)
    diagnosis: str = ""


def right_answer(number: int, sample: Sample) -> Prediction:
    """The truth of a sample with scores that fall from sample to sample."""
    right, score = replayed(sample), 0.9 - 0.05 * number
    if isinstance(right.frames, BoxTrack) or not isinstance(right.frames[0], Instances):
        return right

    def ranked(frame: Annotation) -> Annotation:
        return replace(frame, score=np.full(len(frame), score)) if isinstance(frame, Instances) else frame

    tracks = right.tracks and replace(right.tracks, score=np.full(len(right.tracks), score))
    return replace(right, frames=tuple(map(ranked, right.frames)), tracks=tracks)


def answers(mutation: str, samples: tuple[Sample, ...]) -> list[Prediction]:
    """The mutated truth of every sample."""
    return [MUTATIONS[mutation](number, sample, right_answer(number, sample)) for number, sample in enumerate(samples)]


def _doubled_ap() -> float:
    hits = np.maximum(np.ceil(np.linspace(0, 1, 101) * NUM_IMAGES - 1e-9), 1)
    return float((hits / (2 * hits - 1)).mean())


def _late_hota() -> float:
    """Up to alpha 0.65 all match; beyond, the first of ten frames alone: DetA = 2 / 38, AssA = 1 / 19."""
    return (13 + 6 / 19) / 19


BOX_READINGS = (
    Mutant(mutation="boxes as corners", diagnosis="boxes_are_corners"),
    Mutant(mutation="box axes", diagnosis="box_axes_swapped"),
    Mutant(mutation="boxes halved", diagnosis="boxes_scaled"),
    Mutant(mutation="boxes normalised", diagnosis="boxes_normalised"),
    Mutant(mutation="boxes centred", diagnosis="boxes_are_centred"),
)
EARLY = Mutant(mutation="frames early", diagnosis="frames_early")
"""The step as such is as large as a late one's; the objects' first frames cost more or less, which is not derived."""
MASK_READINGS = (
    Mutant(mutation="pixel axes", diagnosis="mask_axes_swapped"),
    Mutant(mutation="pixels halved", diagnosis="masks_scaled"),
)


def _zero(score: str, mutants: tuple[Mutant, ...]) -> tuple[Mutant, ...]:
    """The same mutants, which leave nothing of a score."""
    return tuple(replace(one, costs={score: 0.0}) for one in mutants)


def nothing_left(score: str) -> Mutant:
    """Silence."""
    return Mutant(mutation="nothing", costs={score: 0.0}, diagnosis="predictions_empty")


def _of_images(score: str, aside: str, shifted: float, half: float, twice: float | None) -> tuple[Mutant, ...]:
    return (
        nothing_left(score),
        Mutant(mutation=aside, costs={score: shifted}),
        Mutant(mutation="half the samples", costs={score: half}),
        Mutant(mutation="twice", costs={} if twice is None else {score: twice}, diagnosis="predictions_duplicated"),
    )


RENAMED = (
    Mutant(mutation="classes swapped", diagnosis="labels_permuted"),
    Mutant(mutation="category ids + 1", diagnosis="category_ids_off_by_one"),
)
UNRANKED = Mutant(mutation="a guess beside each", costs={"AP": _doubled_ap()}, diagnosis="scores_equal")
AP_OF_BOXES = (
    UNRANKED,
    *_of_images("AP", "boxes aside", 0.7, 51 / 101, _doubled_ap()),
    *_zero("AP", BOX_READINGS),
    *_zero("AP", RENAMED),
)
AP_OF_MASKS = (
    UNRANKED,
    *_of_images("AP", "pixels aside", 0.7, 51 / 101, _doubled_ap()),
    *_zero("AP", MASK_READINGS),
    *_zero("AP", RENAMED),
)
CITY_AP = (
    *_of_images("AP", "pixels aside", 0.7, 0.5, (1.5 / 2 + 7 * 0.5) / NUM_IMAGES),
    *_zero("AP", (*MASK_READINGS, Mutant(mutation="city classes swapped", diagnosis="labels_permuted"))),
)
VISTAS_AP = (*CITY_AP[:-1], *_zero("AP", RENAMED))
TRACK_AP_OF_BOXES = (
    nothing_left("AP"),
    Mutant(mutation="boxes aside", costs={"AP": 1.0, "AR@300": 1.0}),
    Mutant(mutation="half the samples", costs={"AP": 51 / 101, "AR@300": 0.5}),
    Mutant(mutation="frames late", costs={"AP": 1.0}),
    Mutant(mutation="frames early", costs={"AP": 1.0}),
    *_zero("AP", BOX_READINGS),
    *_zero("AP", RENAMED),
)
CHALLENGE_BOXES = (
    *_of_images("mAP", "boxes aside", 1.0, 0.5, None),
    Mutant(mutation="boxes as corners", costs={"mAP": 0.0}, diagnosis="boxes_are_sizes"),
    *_zero("mAP", (*BOX_READINGS[1:4], *RENAMED[:1])),
)
CHALLENGE_MASKS = (
    *_of_images("mAP", "pixels aside", 1.0, 0.5, None),
    *_zero("mAP", (*MASK_READINGS, *RENAMED[:1])),
)
GROUND = (96 * 160 - 4 * 440) / (96 * 160 - 4 * 360)
"""IoU of the background when four squares move by two pixels."""
PQ = (
    nothing_left("PQ"),
    Mutant(mutation="pixels aside", costs={"PQ_th": SHIFTED, "RQ": 1.0, "PQ_st": GROUND}),
    Mutant(mutation="half the samples", costs={"PQ": 2 / 3, "SQ": 1.0, "RQ": 2 / 3}),
    *_zero("PQ_th", (*MASK_READINGS, RENAMED[0])),
    Mutant(mutation="category ids + 1", costs={"PQ": 0.0}, diagnosis="category_ids_off_by_one"),
)


def iou_of(
    swapped: str, *, share: float = 1.0, white: float = 0.0, half: Mapping[str, float] | None = None
) -> tuple[Mutant, ...]:
    """Mutants of mIoU. share: of the averaged classes that occur.

    white, half: what a picture of 0 and 255 gets, and what silence on every second image leaves.
    """
    renamed = (
        Mutant(mutation=swapped, costs={"mIoU": share / 5}, diagnosis="labels_permuted"),
        *_zero("mIoU", RENAMED[1:] if swapped == "classes swapped" else ()),
    )
    return (
        Mutant(mutation="pixels aside", costs={"mIoU": share * (4 * SHIFTED + GROUND) / 5}),
        Mutant(mutation="half the samples", costs=half or {"mIoU": share / 2}),
        *MASK_READINGS,
        Mutant(mutation="0 and 255", costs={"mIoU": white}, diagnosis="maps_of_two_values"),
        *renamed,
    )


def masks_of_one(mean: str, cumulative: str, *, empty: float = 0.0) -> tuple[Mutant, ...]:
    """Mutants of an expression's mask. empty: share of expressions without a target, which stay right."""
    some = 1 - empty
    return (
        Mutant(mutation="pixels aside", costs={mean: some * SHIFTED + empty, cumulative: SHIFTED}),
        *(replace(one, costs={mean: empty, cumulative: 0.0}) for one in MASK_READINGS),
    )


SENTENCES = (
    nothing_left("mAP"),
    Mutant(mutation="pixels aside", costs={"mAP": 0.7, "oIoU": SHIFTED, "P@0.8": 1.0, "P@0.9": 0.0}),
    Mutant(mutation="half the samples", costs={"mAP": 51 / 101, "oIoU": 0.5, "P@0.5": 0.5}),
    *(replace(one, costs={"mAP": 0.0, "P@0.5": 0.0}) for one in MASK_READINGS),
)


def concept_f1(num: int = 6, num_empty: int = 2) -> float:
    """cgF1 of right answers to phrases of one object each, with the official constants in the denominators."""
    share = num / (num + 1e-4)
    presence = num * num_empty / (num * num_empty + 1e-6)
    return 2 * share * share / (2 * share + 1e-4) * presence


CONCEPTS = (
    Mutant(mutation="nothing", costs={"cgF1": 0.0, "IL_recall": 0.0}, diagnosis="predictions_empty"),
    Mutant(mutation="pixels aside", costs={"cgF1": 0.7 * concept_f1(), "cgF1@0.5": concept_f1()}),
    *(replace(one, costs={"cgF1": 0.0, "IL_recall": 6 / (6 + 1e-6)}) for one in MASK_READINGS),
)
GROUNDING = (
    nothing_left("R@1"),
    Mutant(mutation="boxes aside", costs={"R@1": 1.0}),
    Mutant(mutation="half the samples", costs={"R@1": 0.5, "upper_bound": 0.5}),
    *_zero("R@1", BOX_READINGS),
)


def success(first: float, shifted: int, late: int) -> tuple[Mutant, ...]:
    """Mutants of AUC. first: the first frame's part, given. shifted, late: of 21 thresholds, those that are passed."""
    rest = NUM_LONG - 1
    return (
        Mutant(mutation="nothing", costs={"AUC": first / 21 / NUM_LONG}, diagnosis="predictions_empty"),
        Mutant(mutation="boxes aside", costs={"AUC": (first + rest * shifted) / 21 / NUM_LONG, "P": 1.0}),
        Mutant(mutation="frames late", costs={"AUC": (first + rest * late) / 21 / NUM_LONG}, diagnosis="frames_late"),
        EARLY,
        *BOX_READINGS,
    )


def trackingnet() -> tuple[Mutant, ...]:
    """Trapezoids under a curve of 21 points; every frame passes the threshold 0."""
    first = 1 / NUM_LONG

    def area(passed: int) -> float:
        curve = np.where(np.arange(21) < passed, 1.0, first)
        return float((curve[1:] + curve[:-1]).sum() / 40)

    return (
        Mutant(mutation="nothing", costs={"Success": area(1)}, diagnosis="predictions_empty"),
        Mutant(mutation="boxes aside", costs={"Success": area(17)}),
        Mutant(mutation="frames late", costs={"Success": area(8)}, diagnosis="frames_late"),
        EARLY,
        *BOX_READINGS,
    )


OVERLAP = (
    nothing_left("AO"),
    Mutant(mutation="boxes aside", costs={"AO": SHIFTED, "SR75": 1.0}),
    Mutant(mutation="frames late", costs={"AO": LATE_LONG, "SR50": 0.0}, diagnosis="frames_late"),
    EARLY,
    *BOX_READINGS,
)


def tracked(aside: str, readings: tuple[Mutant, ...]) -> tuple[Mutant, ...]:
    """Mutants of HOTA, MOTA and IDF1."""
    return (
        Mutant(mutation="nothing", costs={"HOTA": 0, "MOTA": 0, "IDF1": 0}, diagnosis="predictions_empty"),
        Mutant(mutation=aside, costs={"HOTA": 16 / 19, "MOTA": 1, "MOTP": SHIFTED, "IDF1": 1}),
        Mutant(mutation="second object lost", costs={"HOTA": 0.5**0.5, "AssA": 1, "MOTA": 0.5, "IDF1": 2 / 3}),
        Mutant(mutation="ids switched halfway", costs={"HOTA": 3**-0.5, "DetA": 1, "MOTA": 0.9, "IDF1": 0.5}),
        Mutant(
            mutation="twice", costs={"HOTA": 0.5**0.5, "MOTA": 0, "IDF1": 2 / 3}, diagnosis="predictions_duplicated"
        ),
        Mutant(mutation="frames late", costs={"HOTA": _late_hota(), "MOTA": 1}, diagnosis="frames_late"),
        EARLY,
        *readings,
    )


def bdd100k_tracked(aside: str, readings: tuple[Mutant, ...]) -> tuple[Mutant, ...]:
    """Mutants of MOTA and IDF1 alone."""
    return (
        Mutant(mutation="nothing", costs={"mMOTA": 0, "mIDF1": 0}, diagnosis="predictions_empty"),
        Mutant(mutation=aside, costs={"mMOTA": 1, "mMOTP": SHIFTED}),
        Mutant(mutation="second object lost", costs={"mMOTA": 0.5, "mIDF1": 2 / 3}),
        Mutant(mutation="ids switched halfway", costs={"mMOTA": 0.9, "mIDF1": 0.5}),
        Mutant(mutation="twice", costs={"mMOTA": 0, "mIDF1": 2 / 3}, diagnosis="predictions_duplicated"),
        *(Mutant(mutation=one, costs={"mMOTA": 1, "mIDF1": 1}) for one in ("frames late", "frames early")),
        *readings,
    )


def shown(*regions: str, ends: bool = False, matched: bool = False) -> tuple[Mutant, ...]:
    """Mutants of J. regions: names of J, of object 1 (and 2). ends: first and last frame count. matched: ids do not."""
    lost = {regions[0]: 0.5} if len(regions) == 1 else {regions[0]: 1.0, regions[1]: 0.0}
    late = (1 + (NUM_FRAMES - 1) * LATE) / NUM_FRAMES if ends else LATE
    first = regions[0]
    exchanged = {first: 1.0 if matched else 0.0}
    return (
        Mutant(mutation="nothing", costs=dict.fromkeys(regions, 0.0), diagnosis="predictions_empty"),
        Mutant(mutation="pixels aside", costs=dict.fromkeys(regions, SHIFTED)),
        Mutant(mutation="second object lost", costs=lost),
        Mutant(mutation="ids exchanged", costs=exchanged, diagnosis="" if matched else "object_ids_permuted"),
        Mutant(mutation="frames late", costs=dict.fromkeys(regions, late), diagnosis="frames_late"),
        EARLY,
        MASK_READINGS[0],
        *_zero(first, MASK_READINGS[1:]),
    )


VANISHING = (
    Mutant(mutation="nothing", costs={"J": 1 / 401, "F_new": 0.0}, diagnosis="predictions_empty"),
    Mutant(mutation="pixels aside", costs={"J": 361 / 441}),
    Mutant(mutation="second object lost", costs={"J": (1 + 1 / 401) / 2}),
    Mutant(mutation="ids exchanged", costs={"J": 1 / 801}, diagnosis="object_ids_permuted"),
    Mutant(mutation="frames late", costs={"J": 321 / 481}, diagnosis="frames_late"),
    EARLY,
    Mutant(mutation="0 and 255", costs={"J": 1 / 401}, diagnosis="white_masks"),
    MASK_READINGS[0],
    Mutant(mutation="pixels halved", costs={"J": 1 / 501}, diagnosis="masks_scaled"),
)
"""MOSEv2 adds 1 to intersection and union; squares have 400 pixels."""


def asked(*, is_rounded: bool) -> tuple[Mutant, ...]:
    """Mutants of ReVOS: of 15,360 pixels 80 disagree, 40 are false, and 800 are annotated. is_rounded: to 1e-4."""
    costs = {"J": SHIFTED, "A": 1 - 80 / 15360, "R": 1 - 40 / 800}
    late = {"J": (1 + 9 * LATE) / 10}
    halved = {"J": 0.0, "R": 1 - 100 / 800}
    costs, late, halved = (
        {name: round(value, 4) if is_rounded else value for name, value in one.items()} for one in (costs, late, halved)
    )
    return (
        Mutant(mutation="nothing", costs={"J": 0.0, "F": 0.0, "R": 1.0}, diagnosis="predictions_empty"),
        Mutant(mutation="pixels aside", costs=costs),
        Mutant(mutation="frames late", costs=late, diagnosis="frames_late"),
        EARLY,
        MASK_READINGS[0],
        Mutant(mutation="pixels halved", costs=halved, diagnosis="masks_scaled"),
    )


def white(score: str) -> Mutant:
    """0 and 255 where object ids are read; protocols that take 255 for no id refuse it."""
    return Mutant(mutation="0 and 255", costs={score: 0.0}, diagnosis="white_masks")


TRACK_AP = (
    nothing_left("AP"),
    Mutant(mutation="pixels aside", costs={"AP": 0.7}),
    Mutant(mutation="half the samples", costs={"AP": 51 / 101}),
    Mutant(mutation="frames late", costs={"AP": 0.4}, diagnosis="frames_late"),
    EARLY,
    *_zero("AP", MASK_READINGS),
    Mutant(mutation="classes swapped", costs={"AP": 0.0}, diagnosis="labels_permuted"),
    Mutant(mutation="category ids + 1", costs={"AP": 0.0}, diagnosis="category_ids_off_by_one"),
)
