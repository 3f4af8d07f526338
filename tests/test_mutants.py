"""Every metric against the mutant catalogue: the ceiling, the floor, what each mistake costs, and its diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mutants
import pytest
from mutant_worlds import World, world
from mutants import Mutant

from benchmark import metrics
from benchmark.contract import Prediction, PredictionSet, SampleSet, Scores, summarise
from benchmark.problems import BenchmarkError
from benchmark.trust import lawful
from benchmark.trust.diagnosis import diagnose


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How a metric's protocol is tried. world: where. main: its headline. ceiling: what the truth scores there.

    answering: a score that falls with every unanswered sample, where the headline passes them over.
    """

    world: str
    main: str
    mutants: tuple[Mutant, ...]
    ceiling: float = 1.0
    answering: str = ""

    @property
    def sensitive(self) -> str:
        """A score that an unanswered sample costs something."""
        return self.answering or self.main


PRESENT = 5 / 8
"""Of the eight classes of the toy labels, five occur; where absent classes count 0, this is the best mean."""
SEEN = ("J_seen", "J_unseen")
SHORT = 400 / (400 + 1e-5)
"""LISA's script adds 1e-5 to every union, here of 400 pixels."""
MISSED = Mutant(mutation="nothing", diagnosis="predictions_empty")
CATALOGUE: Mapping[tuple[str, str], Row] = {
    ("coco_bbox_ap", "coco"): Row(world="boxes", main="AP", mutants=mutants.AP_OF_BOXES),
    ("lvis_bbox_ap", "lvis"): Row(world="boxes", main="AP", mutants=mutants.AP_OF_BOXES),
    ("lvis_bbox_ap", "fixed"): Row(world="boxes", main="AP", mutants=mutants.AP_OF_BOXES),
    ("grouped_bbox_ap", "mean"): Row(world="boxes", main="AP", mutants=mutants.AP_OF_BOXES),
    ("described_bbox_ap", "d3"): Row(world="boxes", main="AP", mutants=mutants.AP_OF_BOXES),
    ("openimages_bbox_ap", "challenge"): Row(world="corner_boxes", main="mAP", mutants=mutants.CHALLENGE_BOXES),
    ("openimages_bbox_ap", "v2"): Row(world="corner_boxes", main="mAP", mutants=mutants.CHALLENGE_BOXES),
    ("coco_segm_ap", "coco"): Row(world="masks", main="AP", mutants=mutants.AP_OF_MASKS),
    ("coco_segm_ap", "boundary"): Row(world="masks", main="AP", mutants=mutants.AP_OF_MASKS[3:]),
    ("ade20k_segm_ap", "coco"): Row(world="masks", main="AP", mutants=mutants.AP_OF_MASKS),
    ("ade20k_segm_ap", "places"): Row(world="masks", main="AP", mutants=mutants.AP_OF_MASKS),
    ("bdd100k_instance_ap", "official"): Row(world="masks", main="AP", mutants=mutants.AP_OF_MASKS),
    ("lvis_segm_ap", "lvis"): Row(world="masks", main="AP", mutants=mutants.AP_OF_MASKS),
    ("lvis_segm_ap", "boundary"): Row(world="masks", main="AP", mutants=mutants.AP_OF_MASKS[3:]),
    ("lvis_segm_ap", "fixed"): Row(world="masks", main="AP", mutants=mutants.AP_OF_MASKS),
    ("grouped_segm_ap", "mean"): Row(world="masks", main="AP", mutants=mutants.AP_OF_MASKS),
    ("openimages_segm_ap", "challenge"): Row(world="corner_masks", main="mAP", mutants=mutants.CHALLENGE_MASKS),
    ("cityscapes_instance_ap", "official"): Row(world="city_masks", main="AP", mutants=mutants.CITY_AP),
    ("panoptic_quality", "coco"): Row(world="panoptic", main="PQ", mutants=mutants.PQ),
    ("bdd100k_panoptic_quality", "official"): Row(world="panoptic", main="PQ", mutants=mutants.PQ),
    ("semantic_iou", "present"): Row(world="semantic", main="mIoU", mutants=mutants.iou_of("classes swapped")),
    ("semantic_iou", "all"): Row(
        world="semantic", main="mIoU", mutants=mutants.iou_of("classes swapped", share=PRESENT), ceiling=PRESENT
    ),
    ("semantic_iou", "union"): Row(world="semantic", main="mIoU", mutants=mutants.iou_of("classes swapped")),
    ("bdd100k_iou", "official"): Row(world="semantic", main="mIoU", mutants=mutants.iou_of("classes swapped")),
    ("mapillary_instance_ap", "official"): Row(world="masks", main="AP", mutants=mutants.VISTAS_AP),
    ("mapillary_iou", "official"): Row(
        world="vistas_semantic",
        main="mIoU",
        answering="iIoU",
        mutants=mutants.iou_of("rider classes swapped", half={"mIoU": 1.0, "iIoU": 0.5}),
    ),
    ("cityscapes_iou", "official"): Row(
        world="city_semantic", main="mIoU", mutants=mutants.iou_of("city classes swapped", white=1 / 5)
    ),
    **{
        ("referring_iou", protocol): Row(
            world="expressions",
            main="oIoU",
            mutants=(
                mutants.nothing_left("oIoU"),
                Mutant(mutation="half the samples", costs={"oIoU": 0.5, "mIoU": 0.5, "P@0.9": 0.5}),
                *mutants.masks_of_one("mIoU", "oIoU"),
            ),
        )
        for protocol in ("original", "empty_is_right", "overlap_dropped")
    },
    **{
        ("reasoning_segmentation", protocol): Row(
            world="expressions",
            main="gIoU",
            ceiling=SHORT,
            mutants=(mutants.nothing_left("gIoU"), *mutants.masks_of_one("gIoU", "cIoU")),
        )
        for protocol in ("lisa", "united")
    },
    ("phrase_cut", "official"): Row(
        world="expressions",
        main="mean_IoU",
        mutants=(mutants.nothing_left("mean_IoU"), *mutants.masks_of_one("mean_IoU", "cum_IoU")),
    ),
    **{
        ("generalized_referring", protocol): Row(
            world="some_empty",
            main="gIoU",
            mutants=(
                Mutant(mutation="nothing", costs={"gIoU": 0.0, "N_acc": 0.0, "T_acc": 1.0}, diagnosis=MISSED.diagnosis),
                *mutants.masks_of_one("gIoU", "cIoU", empty=0.25),
            ),
        )
        for protocol in ("gres", "under_50_pixels")
    },
    **{
        ("phrase_grounding", protocol): Row(world="phrases", main="R@1", mutants=mutants.GROUNDING)
        for protocol in ("any_box", "merged_box")
    },
    **{
        ("success_plots", protocol): Row(
            world="single_tracks", main="AUC", mutants=mutants.success(20, 17, 8), ceiling=20 / 21
        )
        for protocol in ("pytracking", "pytracking_ext", "uninext", "uninext_no_flags", "toolkit", "got10k")
    },
    ("trackingnet", "devkit"): Row(world="single_tracks", main="Success", mutants=mutants.trackingnet()),
    ("average_overlap", "got10k"): Row(world="single_tracks", main="AO", mutants=mutants.OVERLAP),
    **{
        ("box_tracking", protocol): Row(
            world="box_tracks", main="HOTA", mutants=mutants.tracked("boxes aside", mutants.BOX_READINGS)
        )
        for protocol in ("mot17", "mot20", "no_preprocessing")
    },
    ("mask_tracking", "trackeval"): Row(
        world="mask_tracks", main="HOTA", mutants=mutants.tracked("pixels aside", mutants.MASK_READINGS)
    ),
    ("bdd100k_box_tracking", "scalabel"): Row(
        world="inclusive_tracks",
        main="mMOTA",
        mutants=mutants.bdd100k_tracked("boxes aside", mutants.BOX_READINGS[1:4]),
    ),
    ("bdd100k_mask_tracking", "scalabel"): Row(
        world="mask_tracks", main="mMOTA", mutants=mutants.bdd100k_tracked("pixels aside", mutants.MASK_READINGS)
    ),
    **{
        ("j_and_f", protocol): Row(world="object_maps", main="J&F", mutants=mutants.shown("J"))
        for protocol in ("davis", "davis_8bit")
    },
    ("j_and_f", "vos_benchmark"): Row(
        world="object_maps", main="J&F", mutants=(*mutants.shown("J"), mutants.white("J"))
    ),
    ("j_and_f_matched", "davis"): Row(
        world="object_maps", main="J&F", mutants=mutants.shown("J", ends=True, matched=True)
    ),
    ("j_and_f_grouped", "youtube_vos"): Row(
        world="object_maps", main="G", mutants=(*mutants.shown(*SEEN), mutants.white("J_seen"))
    ),
    ("j_and_f_grouped", "lvos"): Row(
        world="object_maps", main="J&F", mutants=(*mutants.shown(*SEEN, ends=True), mutants.white("J_seen"))
    ),
    ("j_and_f_expressions", "expressions"): Row(
        world="object_maps", main="J&F", mutants=(*mutants.shown("J", ends=True), mutants.white("J"))
    ),
    ("federated_track_ap", "tao"): Row(world="box_instance_tracks", main="AP", mutants=mutants.TRACK_AP_OF_BOXES),
    ("sentence_frames", "mttr"): Row(world="expressions", main="mAP", mutants=mutants.SENTENCES),
    ("concept_f1", "sam3"): Row(
        world="some_empty", main="cgF1", mutants=mutants.CONCEPTS, ceiling=mutants.concept_f1()
    ),
    ("j_and_f_new", "mose2"): Row(world="object_maps", main="J&F_new", mutants=mutants.VANISHING),
    **{
        ("reasoning_videos", protocol): Row(
            world="asked_objects", main="J&F", mutants=mutants.asked(is_rounded=protocol == "official")
        )
        for protocol in ("binary", "official")
    },
    ("video_segm_ap", "youtube_vis"): Row(world="instance_tracks", main="AP", mutants=mutants.TRACK_AP),
}
"""(metric, protocol) -> how it is tried. Floors are the mutation "nothing" of each row."""
CASES = [(*key, mutant) for key, row in CATALOGUE.items() for mutant in row.mutants]


def _scored(metric: str, protocol: str, answers: list[Prediction]) -> Scores:
    place: World = world(CATALOGUE[metric, protocol].world)
    tried = metrics.build(metric, place.labels, protocol)
    stats = [tried.measure(sample, answer) for sample, answer in zip(place.samples, answers, strict=True)]
    scores = summarise(tried, stats)
    assert lawful.breaches(metric, scores, stats) == []
    return scores


def _names(metric: str, protocol: str, answers: list[Prediction]) -> list[str]:
    """Names of the diagnoses."""
    row = CATALOGUE[metric, protocol]
    place = world(row.world)
    samples = SampleSet(tuple(one.sample_id for one in place.samples), place.samples.__getitem__)
    by_id = {one.sample_id: answer for one, answer in zip(place.samples, answers, strict=True)}
    predictions = PredictionSet(tuple(by_id), by_id.__getitem__)
    tried = metrics.build(metric, place.labels, protocol)
    found = diagnose(tried, row.main, place.labels, samples, predictions)
    assert all(one.cause and one.remedy and any(letter.isdigit() for letter in one.evidence) for one in found)
    return [one.name for one in found]


def test_every_protocol_of_every_metric_is_in_the_catalogue() -> None:
    assert set(CATALOGUE) == {(name, one) for name, entry in metrics.METRICS.items() for one in entry.protocols}


@pytest.mark.parametrize(("metric", "protocol"), CATALOGUE)
def test_truth_replayed_scores_the_ceiling_and_is_not_suspicious(metric: str, protocol: str) -> None:
    row = CATALOGUE[metric, protocol]
    right = [mutants.right_answer(number, sample) for number, sample in enumerate(world(row.world).samples)]
    assert _scored(metric, protocol, right).values[row.main] == pytest.approx(row.ceiling, abs=1e-12)
    assert _names(metric, protocol, right) == []


@pytest.mark.parametrize(
    ("metric", "protocol"), [("j_and_f", "davis"), ("j_and_f", "davis_8bit"), ("j_and_f_matched", "davis")]
)
def test_where_255_is_no_id_white_masks_are_refused(metric: str, protocol: str) -> None:
    wrong = mutants.answers("0 and 255", world("object_maps").samples)
    with pytest.raises(BenchmarkError, match=r"hold ids 255; the highest of the video is \d+\. Write 0 where"):
        _scored(metric, protocol, wrong)


@pytest.mark.parametrize(("metric", "protocol"), CATALOGUE)
def test_one_answer_for_every_sample_is_noticed_by_every_protocol(metric: str, protocol: str) -> None:
    samples = world(CATALOGUE[metric, protocol].world).samples
    same = mutants.right_answer(0, samples[0])
    assert _names(metric, protocol, [same] * len(samples))[0] == "samples_duplicated"


@pytest.mark.parametrize(("metric", "protocol", "mutant"), CASES, ids=lambda one: getattr(one, "mutation", one))
def test_a_mutant_costs_what_it_must_and_gets_its_diagnosis(metric: str, protocol: str, mutant: Mutant) -> None:
    row = CATALOGUE[metric, protocol]
    wrong = mutants.answers(mutant.mutation, world(row.world).samples)
    scores = _scored(metric, protocol, wrong)
    for name, left in mutant.costs.items():
        assert scores.values[name] == pytest.approx(left, abs=1e-6), name
    assert scores.values[row.main] <= row.ceiling + 1e-12
    assert _names(metric, protocol, wrong) == [mutant.diagnosis] * bool(mutant.diagnosis)
