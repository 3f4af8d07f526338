"""UNINEXT as a system of the suite: published sizes, answers that every metric takes, and clear refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import uninext_parts
from unified_parts import samples_of

from benchmark import catalog, harness, plan
from benchmark.contract import Task, summarise
from benchmark.problems import UsageError
from models.checkpoints import to_uninext
from models.discovery_answers import published_rules

# Tensors and elements of the published files. The last two follow from the encoders: nobody lists them.
SIZES = {
    "image_r50": (919, 168_581_130),
    "image_convnext_l": (1000, 339_843_594),
    "image_vit_h": (1107, 777_866_442),
    "video_r50": (1248, 198_189_322),
    "video_convnext_l": (1410, 542_123_210),
    "video_vit_h": (1624, 1_418_952_266),
}
ASKED_ROWS = (
    "coco_detection_val2017",
    "coco_instance_val2017",
    "refcoco_referring_val",
    "davis17_vos_val",
    "lasot_sot_test",
    "youtube_vis19_vis_val",
    "bdd100k_mots_val",
    "bdd100k_mot_val",
    "ref_youtube_vos_rvos_val",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uninext")


@pytest.fixture(scope="module")
def weights(home: Path) -> Path:
    return uninext_parts.random_file(home / "random.safetensors")


@pytest.mark.parametrize("variant", SIZES)
def test_a_variant_has_the_published_size(variant: str) -> None:
    with torch.device("meta"):
        model = harness.build_model(uninext_parts.training(variant))
    state = to_uninext(model.state_dict())
    assert (len(state), sum(tensor.numel() for tensor in state.values())) == SIZES[variant]


def test_layers_do_not_share_their_heads() -> None:
    model = uninext_parts.random_model()
    assert len({id(head) for head in (*model.retrieval, *model.iou_heads)}) == 2 * len(model.decoder.layers)


@pytest.mark.parametrize("name", ASKED_ROWS)
def test_answers_are_what_the_metric_of_the_row_takes(
    name: str, home: Path, weights: Path, one_seed_and_thread: None
) -> None:
    row, samples = catalog.get(name), samples_of(name, home)
    predict = harness.load_predictor(uninext_parts.training(), weights)
    metric = catalog.build_metric(row, row.headline_protocol(is_mini=True))
    stats = [metric.measure(sample, predict(sample)) for sample in samples.head(1)]
    scores = summarise(metric, stats)
    assert scores.num_scored == 1
    assert row.main_score in scores.values


@pytest.mark.parametrize("name", ["coco_panoptic_val2017", "coco_semantic_val2017"])
def test_regions_without_instances_are_refused(name: str, home: Path, weights: Path) -> None:
    predict = harness.load_predictor(uninext_parts.training(), weights)
    with pytest.raises(UsageError, match="knows no regions without instances"):
        predict(samples_of(name, home)[0])


@pytest.mark.parametrize(
    ("name", "lacks"), [("davis17_vos_val", "no encoder of targets"), ("bdd100k_mots_val", "no identities")]
)
def test_an_image_level_model_refuses_what_it_was_not_built_for(name: str, lacks: str, home: Path) -> None:
    model = uninext_parts.random_model().eval()
    model.template_encoder = model.identity_head = None
    answers = harness.build(uninext_parts.training().config["answers"], model=model)
    sample = samples_of(name, home)[0]
    with pytest.raises(UsageError, match=lacks):
        answers.predict([], sample)


def test_words_need_a_word_list_and_targets_do_not(home: Path, weights: Path, one_seed_and_thread: None) -> None:
    published = uninext_parts.training("video_r50").config["answers"]["tokenizer"]
    model = uninext_parts.random_model().eval()
    answers = harness.build(
        dict(uninext_parts.training().config["answers"], tokenizer=harness.merged({}, published)), model=model
    )
    video, picture = (samples_of(name, home)[0] for name in ("lasot_sot_test", "refcoco_referring_val"))
    frames = [harness.read_rgb(path) for path in video.frames]
    assert len(answers.predict(frames, video).frames) == len(frames)
    with pytest.raises(UsageError, match=r"vocab\.txt: --cfg-options answers\.tokenizer\.vocabulary=FILE"):
        answers.predict([harness.read_rgb(picture.frames[0])], picture)


def test_published_settings_can_be_those_of_another_data_set() -> None:
    usual, other = published_rules(), published_rules(vis_short_side=720, vos_least_score=0.5)
    assert (usual.tasks[Task.VIS].short_side, other.tasks[Task.VIS].short_side) == (480, 720)
    assert (usual.vos.least_score, other.vos.least_score) == (None, 0.5)
    assert {one.short_side for one in published_rules(short_side=128).tasks.values()} == {128}


def test_rows_of_tasks_that_are_not_answered_are_left_out_of_a_suite_and_refused_by_name() -> None:
    system = harness.load_system("uninext", "image_r50")
    names = ("coco_instance_val2017", "coco_semantic_val2017", "davis17_vos_val")
    rows = [plan.PlannedRow(benchmark=catalog.get(name)) for name in names]
    found = plan.answered(rows, system)
    assert [row.is_run for row in found] == [True, False, False]
    assert found[1].reason == "uninext:image_r50 answers detection, instance, grounding, referring, rvos"
    with pytest.raises(UsageError) as error:
        plan.check_tasks(rows, system)
    assert [line.split()[0] for line in str(error.value).splitlines()] == list(names[1:])
