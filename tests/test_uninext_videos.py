"""UNINEXT with random weights answers the miniatures of every prompted task: answers that files and metrics accept."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from small_discovery import small_detector
from uninext_model import Recorder, tracer
from uninext_oracle import CASES, TOLERANCE, Oracle

from benchmark import catalog, masks
from benchmark.contract import Instances, Prompt, Sample, Task, make_instances, summarise
from benchmark.formats.image_files import read_rgb
from benchmark.minidata import miniatures
from benchmark.minidata.pools import Pools
from models.discovery_detector import DiscoveryDetector, Part, Question, SeenFrame
from models.frame_objects import Target
from models.object_answers import SelectionRules, select
from models.prompted_segmenter import PromptedSegmenter
from models.task_settings import TASK_SETTINGS, InferenceRules, TargetRules

ROWS = (
    "lasot_sot_test",
    "got10k_sot_val",
    "davis17_vos_val",
    "youtube_vos18_vos_val",
    "sav_vos_val",
    "mot17_mot_train",
    "bdd100k_mot_val",
    "kitti_mots_val",
    "bdd100k_mots_val",
    "youtube_vis19_vis_val",
    "ref_youtube_vos_rvos_val",
    "ref_davis17_rvos_val",
    "refcoco_referring_val",
    "flickr30k_grounding_val",
    "seginw_instance_val",
    "d3_detection_pres",
)


@pytest.fixture(autouse=True)
def _same_weights(one_seed_and_thread: None) -> None:
    """Weights and threads of every test."""


def opened(name: str, root: Path) -> tuple[catalog.Benchmark, Sample]:
    """A row and the first sample of its miniature; the training split comes along where the data set has one."""
    row = catalog.get(name)
    trained = [one for one in catalog.TRAINING.values() if one.dataset == row.dataset]
    one_each = {"train": 1, "val": 1}
    miniatures.write(root, [row, *trained], Pools(num_clips=one_each, num_images=one_each))
    return row, catalog.open_samples(row, root, is_mini=True)[0]


@pytest.mark.mini
@pytest.mark.parametrize("name", ROWS)
def test_answers_are_accepted_by_files_and_metric(tmp_path: Path, name: str) -> None:
    row, sample = opened(name, tmp_path / "root")
    settings = {task: replace(one, short_side=None) for task, one in TASK_SETTINGS.items()}
    box_format = "xyxy" if name == "bdd100k_mot_val" else "xywh"
    settings[row.task] = replace(settings[row.task], box_format=box_format)
    segmenter = PromptedSegmenter(small_detector(tmp_path), rules=InferenceRules(tasks=settings))
    frames = [partial(read_rgb, path) for path in sample.frames]
    prediction = segmenter.predict(frames, sample)
    assert len(prediction.frames) == len(sample.frames)
    found = [frame for frame in prediction.frames if isinstance(frame, Instances)]
    assert len(found) == len(frames) and any(len(frame) for frame in found)
    for frame in found:
        assert {rle.size for rle in frame.masks or ()} <= {sample.size}
        assert np.isfinite(frame.boxes).all() and ((frame.score >= 0) & (frame.score <= 1)).all()
    catalog.write_predictions(row, tmp_path / "answers", [(sample, prediction)])
    metric = catalog.build_metric(row)
    scores = summarise(metric, [metric.measure(sample, prediction)])
    assert math.isfinite(scores.values[row.main_score])


def looked(detector: DiscoveryDetector, *, seed: int = 0, size: tuple[int, int] = (64, 96)) -> SeenFrame:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    return detector.look(pixels)


NAMES = ("red disc", "green box", "blue star", "tall cross", "small ring", "pink cone", "grey arrow")


def test_a_long_vocabulary_is_asked_in_parts_and_ranked_as_one(tmp_path: Path) -> None:
    detector = small_detector(tmp_path, length=32)
    frame, question = looked(detector), detector.ask_categories(NAMES, sentence="")
    assert [part.classes for part in question.parts] == [(0, 1, 2), (3, 4, 5), (6,)]
    (whole,) = detector.find(frame, [question])
    parts = [
        detector.find(frame, [detector.ask_categories(names, sentence="")])[0]
        for names in (NAMES[:3], NAMES[3:6], NAMES[6:])
    ]
    assert whole.scores.shape == (60, 7) and whole.embed is not None and len(whole.embed()) == 60
    for number, (part, columns) in enumerate(zip(parts, (slice(0, 3), slice(3, 6), slice(6, 7)), strict=True)):
        rows = slice(20 * number, 20 * number + 20)
        torch.testing.assert_close(whole.scores[rows, columns], part.scores)
        torch.testing.assert_close(whole.boxes[rows], part.boxes)
    assert (whole.scores > 0).sum() == 20 * 7
    chosen = select(whole, SelectionRules(top_k=15))
    assert len(set((chosen.query // 20).tolist())) > 1, "answers come from several parts"
    drawn = whole.draw(chosen.query)
    for row, query in enumerate(chosen.query.tolist()):
        alone = parts[query // 20].draw(torch.tensor([query % 20]))[0]
        torch.testing.assert_close(drawn[row], alone, atol=1e-4, rtol=1e-4)


def test_the_backbone_runs_once_a_frame_and_each_look_once(tmp_path: Path) -> None:
    detector = small_detector(tmp_path)
    template_encoder = detector.model.template_encoder
    assert template_encoder is not None
    frames, texts, templates = (
        Recorder([module]) for module in (detector.model.backbone, detector.model.text_encoder, template_encoder)
    )
    size, num_objects = (64, 96), 5
    given = make_instances(
        class_index=[0] * num_objects,
        masks=[masks.encode(np.pad(np.ones((8, 8), bool), ((8, 48), (8 * k, 88 - 8 * k)))) for k in range(num_objects)],
    )
    prompt = Prompt(task=Task.VOS, objects={0: given})
    sample = Sample(sample_id="v", frames=[tmp_path] * 3, size=size, prompt=prompt)
    clip = [np.random.default_rng(index).integers(0, 256, (*size, 3)).astype(np.uint8) for index in range(3)]
    settings = {Task.VOS: replace(TASK_SETTINGS[Task.VOS], short_side=None)}
    never = TargetRules(update_score=2)
    PromptedSegmenter(detector, rules=InferenceRules(tasks=settings, vos=never)).predict(clip, sample)
    # In the first frame everything is given, so nothing is looked for.
    assert (len(frames.taken()), len(texts.taken()), len(templates.taken())) == (2, 0, num_objects)


def test_questions_that_are_asked_together_are_answered_as_if_alone(tmp_path: Path) -> None:
    detector = small_detector(tmp_path, num_at_once=2)
    frame, other = looked(detector), looked(detector, seed=1)
    shown = [detector.show(other, Target(box_xywh=(10.0 * k, 8.0, 16.0, 12.0))) for k in range(3)]
    questions = [
        detector.ask_targets([shown[0], shown[1]], sentence=""),
        detector.ask_expression("the red disc", sentence=""),
        detector.ask_targets([shown[1], shown[1]], sentence=""),
        detector.ask_targets([shown[2], shown[0]], sentence=""),
        detector.ask_targets([shown[2]], sentence=""),
    ]
    every = torch.arange(20)
    for together, question in zip(detector.find(frame, questions), questions, strict=True):
        (alone,) = detector.find(frame, [question])
        for name in ("scores", "quality", "boxes"):
            torch.testing.assert_close(getattr(together, name), getattr(alone, name), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.draw(every), alone.draw(every), atol=1e-3, rtol=1e-4)
        assert together.embed is not None and alone.embed is not None
        torch.testing.assert_close(together.embed(), alone.embed(), atol=1e-4, rtol=1e-4)


def test_a_detector_without_words_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="built without a tokenizer"):
        DiscoveryDetector(small_detector(tmp_path).model).ask_expression("red", sentence="")


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_the_detectors_answers_equal_the_authors(samples_dir: Path, case: str) -> None:
    oracle = Oracle(samples_dir / "oracles" / "uninext", case)
    detector = DiscoveryDetector(tracer().model)
    search = detector.look(oracle.array("image" if "image" in oracle else "search_image").transpose(1, 2, 0))
    (found,) = detector.find(search, [asked(detector, oracle)])
    task = {"detection": Task.INSTANCE, "grounding": Task.REFERRING, "template": Task.SOT}[oracle.case["task"]]
    chosen = select(found, TASK_SETTINGS[task].selection)
    assert oracle.difference("final_class", chosen.class_index) == 0
    assert oracle.difference("final_score", chosen.score) < TOLERANCE
    if "identity_embedding" in oracle:
        assert found.embed is not None
        assert oracle.difference("identity_embedding", found.embed()) < TOLERANCE


def asked(detector: DiscoveryDetector, oracle: Oracle) -> Question:
    """The case's question; templates are cut and encoded by the detector."""
    if oracle.case["task"] == "template":
        frame = detector.look(oracle.array("template_image").transpose(1, 2, 0))
        mask = None
        if "template_object_mask" in oracle:
            mask = torch.from_numpy(oracle.bits("template_object_mask", frame.size))
        boxes = [one["box_xyxy_pixels"] for one in oracle.case["templates"]]
        targets = [Target(box_xywh=(a, b, c - a, d - b), mask=mask) for a, b, c, d in boxes]
        return detector.ask_targets([detector.show(frame, target) for target in targets], sentence="")
    prompt = tracer().ask(oracle)
    if oracle.case["task"] == "grounding":
        return Question(parts=(Part(prompt=prompt),))
    positions = tuple(tuple(one) for one in oracle.case["label_to_token_positions"].values())
    part = Part(prompt=prompt, classes=tuple(range(len(positions))), positions=positions)
    return Question(parts=(part,), num_classes=len(positions))
