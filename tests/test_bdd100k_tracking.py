"""BDD100K's tracking scores equal scalabel's and bdd100k's, on the samples and on frozen clips of boxes and masks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from freeze_tracking import BDD_KINDS, bdd_bitmasks, bdd_frames, rle_text
from tracking_scenes import CLIPS, clip

from benchmark import catalog, scoring
from benchmark.__main__ import main
from benchmark.contract import Scores, Stats, summarise
from benchmark.formats.image_files import read_rgba, write_png

EXACT = 1e-10
"""Of percentages."""
GOLDEN = Path(__file__).parent / "golden" / "tracking" / "scalabel.json"


def write_form(folder: Path, form: str) -> tuple[Path, Path]:
    """(truth, results) of all clips in one form, one JSON or one folder a clip."""
    for name in CLIPS:
        made = clip(name, kinds=len(BDD_KINDS))
        if form == "bitmasks":
            for side, frames in zip(("truth", "found"), bdd_bitmasks(made), strict=True):
                for index, pixels in enumerate(frames):
                    write_png(folder / side / name / f"{name}-{index + 1:07d}.png", pixels)
            continue
        for side, records in zip(
            ("truth", "found"), bdd_frames(made, rle_text if form == "run_lengths" else None), strict=True
        ):
            (folder / side).mkdir(exist_ok=True)
            (folder / side / f"{name}.json").write_text(json.dumps(records), encoding="utf-8")
    return folder / "truth", folder / "found"


def row_of(form: str) -> catalog.Benchmark:
    """The row that reads a form."""
    return catalog.get("bdd100k_mot_val" if form == "boxes" else "bdd100k_mots_val")


def measured(form: str, truth: Path, found: Path) -> tuple[Any, list[Stats]]:
    """(metric, statistics) of explicit files."""
    row = row_of(form)
    metric = catalog.build_metric(row)
    samples = catalog.open_samples(row, None, truth=truth)
    predictions = catalog.read_predictions(row, found, samples)
    return metric, scoring.measure(metric, samples, predictions, place=str(found))


def flat(result: Scores) -> dict[str, float]:
    """Our scores under the tools' names, percentages."""
    names = ("MOTA", "IDF1", "MOTP")
    found = {f"{name}/OVERALL": 100 * result.values[name] for name in names}
    found |= {f"m{name}": 100 * result.values[f"m{name}"] for name in names}
    found |= {f"{name}/{key}": 100 * row[name] for key, row in result.per_class.items() for name in names}
    counts = ("FP", "FN", "IDSw", "MT", "PT", "ML", "FM")
    return found | {f"{name}/OVERALL": float(result.counts[name]) for name in counts}


def assert_equal(result: Scores, expected: Mapping[str, float | str], place: str) -> None:
    """Every score and pooled count is the tool's; what the tool calls infinite is undefined here."""
    found = flat(result)
    assert len(found) == 6 + 11 * 3 + 7
    for name, value in found.items():
        wanted = float(expected[name])
        if math.isfinite(wanted):
            assert value == pytest.approx(wanted, abs=EXACT), f"{place}: {name}"
        else:
            assert math.isnan(value), f"{place}: {name}"


@pytest.mark.parametrize("form", ["boxes", "run_lengths", "bitmasks"])
def test_clips_score_as_the_official_tools_say(tmp_path: Path, form: str) -> None:
    metric, stats = measured(form, *write_form(tmp_path, form))
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))[form]
    assert {one.sample_id for one in stats} == set(CLIPS)
    for one in stats:
        assert_equal(summarise(metric, [one]), expected[one.sample_id], one.sample_id)
    assert_equal(summarise(metric, stats), expected["all"], "all")


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 10)


@pytest.mark.parametrize(
    ("row_name", "folder", "found", "truth"),
    [
        ("bdd100k_mot_val", "bdd100k_box_track", "pred.json", "gt.json"),
        ("bdd100k_mots_val", "bdd100k_seg_track_bitmask", "result", "gt"),
    ],
)
def test_samples_score_as_published(
    samples_dir: Path, tmp_path: Path, row_name: str, folder: str, found: str, truth: str
) -> None:
    home, out = samples_dir / "video" / folder, tmp_path / "record.json"
    arguments = ["score", row_name, str(home / found), "--truth", str(home / truth), "--out", str(out)]
    assert main([*arguments, "--work-dir", str(tmp_path / "work")]) == 0
    record = json.loads(out.read_text(encoding="utf-8"))
    expected = json.loads((home / "expected.json").read_text(encoding="utf-8"))["scores"]
    for name in ("MOTA", "IDF1", "MOTP"):
        assert 100 * record["scores"][f"m{name}"] == pytest.approx(expected[f"m{name}"], abs=EXACT)
        assert 100 * record["scores"][name] == pytest.approx(expected[name][-1]["OVERALL"], abs=EXACT)
        for key, value in {**expected[name][0], **expected[name][1]}.items():
            value_here = record["per_class"][key][name]
            assert (value_here is None) == (value == "nan"), key
            assert value_here is None or 100 * value_here == pytest.approx(value, abs=EXACT), key
    for name in ("FP", "FN", "IDSw", "MT", "PT", "ML", "FM"):
        assert record["counts"][name] == expected[name][-1]["OVERALL"]
    if row_name == "bdd100k_mots_val":
        assert record["main_score"] == "mMOTSA" and record["scores"]["mMOTSA"] == record["scores"]["mMOTA"]


@pytest.mark.parametrize("form", ["boxes", "run_lengths", "bitmasks"])
def test_truth_replayed_scores_one_by_class_and_the_share_of_present_classes_in_the_mean(
    tmp_path: Path, form: str
) -> None:
    """The mean is over eight classes, absent ones count 0: its ceiling is (present classes) / 8."""
    truth, _ = write_form(tmp_path, form)
    row = row_of(form)
    samples = catalog.open_samples(row, None, truth=truth)
    path = tmp_path / "replayed"
    pairs = [(sample, _replay(sample)) for sample in samples]
    catalog.write_predictions(row, path, pairs)
    metric, stats = measured("bitmasks" if form == "run_lengths" else form, truth, path)
    result = summarise(metric, stats)
    present = [key for key, value in result.per_class.items() if not math.isnan(value["MOTA"])]
    num = len(set(present) & set(row.label_set.names))
    assert num == 4
    for name in ("MOTA", "IDF1", "MOTP"):
        assert result.values[name] == 1.0 and result.values[f"m{name}"] == num / 8
    assert result.counts["FP"] == result.counts["FN"] == result.counts["IDSw"] == 0


def _replay(sample: Any) -> Any:
    from benchmark.contract import Prediction

    return Prediction(frames=sample.truth.frames)


def test_nothing_predicted_scores_zero(tmp_path: Path) -> None:
    """MOTA = 1 - misses / objects = 0; no match has no MOTP, which the mean takes as 0."""
    truth, found = write_form(tmp_path, "boxes")
    for path in found.glob("*.json"):
        frames = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps([{**frame, "labels": []} for frame in frames]), encoding="utf-8")
    metric, stats = measured("boxes", truth, found)
    result = summarise(metric, stats)
    assert [result.values[name] for name in ("mMOTA", "mIDF1", "mMOTP", "MOTA", "IDF1")] == [0.0] * 5
    assert math.isnan(result.values["MOTP"])
    assert result.counts["FN"] == result.counts["objects"] > 0


@pytest.mark.parametrize("form", ["boxes", "bitmasks"])
def test_written_results_read_back_to_the_bit(tmp_path: Path, form: str) -> None:
    truth, found = write_form(tmp_path, form)
    row = row_of(form)
    samples = catalog.open_samples(row, None, truth=truth)
    first = catalog.read_predictions(row, found, samples)
    catalog.write_predictions(row, tmp_path / "again", [(sample, first[sample.sample_id]) for sample in samples])
    second = catalog.read_predictions(row, tmp_path / "again", samples)
    for name in samples.ids:
        for left, right in zip(first[name].frames, second[name].frames, strict=True):
            assert (left.masks, left.boxes.tobytes()) == (right.masks, right.boxes.tobytes())  # type: ignore[union-attr]
            assert left.class_index.tolist() == right.class_index.tolist()  # type: ignore[union-attr]
            assert left.object_id.tolist() == right.object_id.tolist()  # type: ignore[union-attr]


def test_alpha_is_a_number_like_the_others(tmp_path: Path) -> None:
    pixels = bdd_bitmasks(clip("crowded", kinds=len(BDD_KINDS)))[0][3]
    assert 0 in pixels[..., 3] and len(set(pixels[..., 3].ravel().tolist())) > 5
    write_png(tmp_path / "a.png", pixels)
    assert (read_rgba(tmp_path / "a.png") == pixels).all()
