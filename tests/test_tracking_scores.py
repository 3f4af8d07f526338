"""HOTA, CLEAR and identity scores equal TrackEval's, protocol by protocol, on samples and frozen clips."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from freeze_tracking import MOT_KINDS, mot_lines, mots_lines, rle_text
from tracking_scenes import CLIPS, SIZE, clip

from benchmark import catalog, scoring
from benchmark.__main__ import main
from benchmark.contract import Stats, summarise
from benchmark.formats.sequence_info import FILE, SequenceInfo, write_info

EXACT = 1e-12
GOLDEN = Path(__file__).parent / "golden" / "tracking"
BOXES = {"mot17": "mot17_mot_train", "mot20": "mot20_mot_train", "no_preprocessing": "mot17_mot_train"}


def frozen(tool: str) -> Any:
    """What a tool said."""
    return json.loads((GOLDEN / f"{tool}.json").read_text(encoding="utf-8"))


def write_clips(folder: Path, texts: Mapping[str, tuple[str, str]]) -> tuple[Path, Path]:
    """(truth, results) of clips as folders of text files, each clip with its description."""
    for name, sides in texts.items():
        for side, text in zip(("truth", "found"), sides, strict=True):
            (folder / side).mkdir(exist_ok=True)
            (folder / side / f"{name}.txt").write_text(text, encoding="utf-8")
        info = SequenceInfo(folder="img1", extension=".jpg", num_frames=clip(name).num_frames, size=SIZE)
        write_info(folder / "truth" / name / FILE, name, info)
    return folder / "truth", folder / "found"


def box_clips(folder: Path) -> tuple[Path, Path]:
    """All clips as MOTChallenge text."""
    return write_clips(folder, {name: mot_lines(clip(name, kinds=len(MOT_KINDS))) for name in CLIPS})


def mask_clips(folder: Path, first_frame: int) -> tuple[Path, Path]:
    """All clips as MOTS text."""
    texts = {}
    for name in CLIPS:
        sides = mots_lines(clip(name, kinds=3), rle_text, first_frame)
        texts[name] = sides
    return write_clips(folder, texts)


def measured(row_name: str, truth: Path, found: Path, protocol: str | None = None) -> tuple[Any, list[Stats]]:
    """(metric, statistics) of explicit files."""
    row = catalog.get(row_name)
    metric = catalog.build_metric(row, protocol)
    samples = catalog.open_samples(row, None, truth=truth)
    predictions = catalog.read_predictions(row, found, samples)
    return metric, scoring.measure(metric, samples, predictions, place=str(found))


def assert_equal(found: Mapping[str, float], expected: Mapping[str, float], place: str) -> None:
    """Every number that both sides have is the same; at least the headlines are among them."""
    common = sorted(set(found) & set(expected))
    assert {"HOTA", "MOTA", "IDF1", "CLR_TP", "IDSW", "Frag", "MT", "IDTP"} <= set(common)
    for name in common:
        assert found[name] == pytest.approx(expected[name], abs=EXACT), f"{place}: {name}"


@pytest.mark.parametrize("protocol", BOXES)
def test_box_protocols_equal_trackeval(tmp_path: Path, protocol: str) -> None:
    truth, found = box_clips(tmp_path)
    metric, stats = measured(BOXES[protocol], truth, found, protocol)
    expected = frozen("trackeval")[protocol]
    if protocol == "no_preprocessing":
        metric, stats = measured("mot15_mot_train", *_without_classes(truth, found))
    for one in [*([s] for s in stats), stats]:
        name = one[0].sample_id if len(one) == 1 else "all"
        result = summarise(metric, one)
        assert_equal({**result.values, **result.counts}, expected[name], f"{protocol}, {name}")


def _without_classes(truth: Path, found: Path) -> tuple[Path, Path]:
    for path in truth.glob("*.txt"):
        lines = (line.split(",") for line in path.read_text(encoding="utf-8").splitlines())
        path.write_text("".join(",".join([*line[:7], "-1", "-1", "-1\n"]) for line in lines), encoding="utf-8")
    return truth, found


@pytest.mark.parametrize(
    ("row_name", "protocol", "name"),
    [
        ("motschallenge_mots_train", "mots_pedestrian", "pedestrian"),
        ("kitti_mots_val", "kitti_car", "car"),
        ("kitti_mots_val", "kitti_pedestrian", "pedestrian"),
    ],
)
def test_masks_equal_trackeval(tmp_path: Path, row_name: str, protocol: str, name: str) -> None:
    metric, stats = measured(row_name, *mask_clips(tmp_path, 0 if row_name.startswith("kitti") else 1))
    expected = frozen("trackeval")[protocol]
    for one in [*([s] for s in stats), stats]:
        place = one[0].sample_id if len(one) == 1 else "all"
        result = summarise(metric, one)
        row = result.per_class[name]
        compared = [key for key in row if key in expected[place]]
        assert len(compared) > 20
        for key in compared:
            wanted = expected[place][key]
            assert row[key] == pytest.approx(wanted, abs=EXACT), f"{place}: {key}"
        if row_name.startswith("mots"):
            assert_equal({**result.values, **result.counts}, expected[place], place)


def test_scores_by_alpha_equal_trackeval(tmp_path: Path) -> None:
    metric, stats = measured("mot17_mot_train", *box_clips(tmp_path))
    row = summarise(metric, stats).per_class["pedestrian"]
    expected = frozen("trackeval")["mot17"]["all"]
    alphas = [name for name in row if "@" in name]
    assert len(alphas) == 4 * 19
    for name in alphas:
        assert row[name] == pytest.approx(expected[name], abs=EXACT), name
    assert row["HOTA"] == pytest.approx(np.mean([row[name] for name in alphas if name.startswith("HOTA@")]), abs=EXACT)


def _score(folder: Path, name: str, predictions: Path, truth: Path) -> Any:
    out = folder / "record.json"
    arguments = ["score", name, str(predictions), "--truth", str(truth), "--out", str(out)]
    assert main([*arguments, "--work-dir", str(folder / "work")]) == 0
    return json.loads(out.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 10)


def test_tud_campus_scores_as_published(samples_dir: Path, tmp_path: Path) -> None:
    folder = samples_dir / "video/mot_tud_campus"
    record = _score(tmp_path, "mot15_mot_train", folder / "test.txt", folder / "gt.txt")
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["trackeval_1.3.0_no_preproc"]
    found = {**record["scores"], **record["counts"]}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=EXACT)
    assert (record["num_expected"], record["num_scored"]) == (1, 1)
    assert record["intervals"] == {}  # one video says nothing of how others would vary


def test_mots_of_real_masks_score_as_trackeval_computed(samples_dir: Path, tmp_path: Path) -> None:
    folder = samples_dir / "video/mots_from_davis_masks"
    record = _score(tmp_path, "motschallenge_mots_train", folder / "tracker", folder / "gt")
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["scores"]
    found = {**record["scores"], **record["counts"]}
    assert {name: found[name] for name in expected["COMBINED_SEQ"]} == pytest.approx(
        expected["COMBINED_SEQ"], abs=EXACT
    )
    assert (found["sMOTSA"], found["MOTSA"], found["MOTSP"]) == (found["sMOTA"], found["MOTA"], found["MOTP"])
    metric, stats = measured("motschallenge_mots_train", folder / "gt", folder / "tracker")
    for one in stats:
        result = summarise(metric, [one])
        values = {**result.values, **result.counts}
        wanted = expected[one.sample_id]
        assert {name: values[name] for name in wanted} == pytest.approx(wanted, abs=EXACT), one.sample_id
