"""Jobs: stored before scored, continued after a stop, never mixed with another job, silent about partial headlines."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import fake_harness
import pytest
import small_run

from benchmark import catalog, job, matrix, record, store
from benchmark.contract import Prediction, Sample, SampleSet, Task, summarise
from benchmark.problems import UsageError

ROWS = tuple(name for name, row in catalog.BENCHMARKS.items() if catalog.is_of_the_suite(row))
run_job = partial(job.run_job, resamples=40)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run.make_data(tmp_path_factory.mktemp("data"))


def open_row(name: str, data_root: Path) -> tuple[catalog.Benchmark, SampleSet]:
    row = catalog.get(name)
    return row, catalog.open_samples(row, data_root, is_mini=True)


def make_job(row: catalog.Benchmark, **fields: object) -> job.Job:
    return job.make_job(row, is_mini=True, **{"system": "fake", "variant": "mini", "data": "mini:test", **fields})


def predict(sample: Sample) -> Prediction:
    return fake_harness.predict(sample, "weights")


def refuse(sample: Sample) -> Prediction:
    raise AssertionError(f"{sample.sample_id} was predicted again")


def stopping_after(number: int) -> Callable[[Sample], Prediction]:
    """A predictor that is interrupted after so many samples."""
    seen = []

    def answer(sample: Sample) -> Prediction:
        if len(seen) == number:
            raise KeyboardInterrupt
        seen.append(sample.sample_id)
        return predict(sample)

    return answer


@pytest.mark.parametrize("name", ROWS)
def test_scores_equal_those_of_measuring_directly(name: str, data_root: Path, tmp_path: Path) -> None:
    row, samples = open_row(name, data_root)
    content = run_job(make_job(row), row, samples, predict, tmp_path)
    metric = catalog.build_metric(row, row.headline_protocol(is_mini=True))
    expected = summarise(metric, [metric.measure(sample, predict(sample)) for sample in samples])
    assert content["scores"] == {key: None if math.isnan(value) else value for key, value in expected.values.items()}
    assert content["counts"] == dict(expected.counts)
    assert content["display_name"] == f"{name}@mini"
    assert (content["num_scored"], content["num_expected"], content["missing"]) == (10, 10, [])
    low, high = content["intervals"][row.main_score]
    assert low <= content["scores"][row.main_score] <= high


@pytest.mark.parametrize("name", ["coco_panoptic_val2017", "ade20k_instance_val", "cityscapes_semantic_val"])
def test_an_interrupted_job_continues_to_the_same_files(name: str, data_root: Path, tmp_path: Path) -> None:
    row, samples = open_row(name, data_root)
    run_job(make_job(row), row, samples, predict, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_job(make_job(row), row, samples, stopping_after(4), tmp_path / "parts")
    assert record.read(tmp_path / "parts") is None
    shard = tmp_path / "parts" / "predictions" / "0.jsonl"
    shard.write_bytes(shard.read_bytes()[:-7])
    run_job(make_job(row), row, samples, predict, tmp_path / "parts")
    assert small_run.without_durations(tmp_path / "parts") == small_run.without_durations(tmp_path / "whole")
    for folder in ("predictions", "stats"):
        parts, whole = (tmp_path / side / folder / "0.jsonl" for side in ("parts", "whole"))
        assert sorted(parts.read_bytes().splitlines()) == sorted(whole.read_bytes().splitlines())


def test_a_prediction_stored_without_statistics_is_measured_and_not_predicted_again(
    data_root: Path, tmp_path: Path
) -> None:
    row, samples = open_row("coco_panoptic_val2017", data_root)
    first = run_job(make_job(row), row, samples, predict, tmp_path)
    (tmp_path / "record.json").unlink()
    (tmp_path / "stats" / "0.jsonl").unlink()
    assert run_job(make_job(row), row, samples, refuse, tmp_path)["scores"] == first["scores"]


def test_a_finished_job_is_read_and_not_run(data_root: Path, tmp_path: Path) -> None:
    row, samples = open_row("coco_panoptic_val2017", data_root)
    first = run_job(make_job(row), row, samples, predict, tmp_path)
    assert job.is_finished(make_job(row), samples, tmp_path)
    assert run_job(make_job(row), row, samples, refuse, tmp_path) == first


def test_a_damaged_record_is_made_again_from_what_is_stored(data_root: Path, tmp_path: Path) -> None:
    row, samples = open_row("coco_panoptic_val2017", data_root)
    first = run_job(make_job(row), row, samples, predict, tmp_path)
    (tmp_path / "record.json").write_text('{"schema": 1, "sco')
    assert not job.is_finished(make_job(row), samples, tmp_path)
    assert run_job(make_job(row), row, samples, refuse, tmp_path)["scores"] == first["scores"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("checkpoint_sha256", "f00"),
        ("seed", 1),
        ("limit", 3),
        ("system", "other"),
        ("config_hash", "b"),
        ("data", "files"),
    ],
)
def test_a_directory_never_holds_two_jobs(data_root: Path, tmp_path: Path, field: str, value: object) -> None:
    row, samples = open_row("coco_panoptic_val2017", data_root)
    run_job(make_job(row), row, samples, predict, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=f"holds another job: its {field} is .* --no-resume"):
        run_job(replace(make_job(row), **{field: value}), row, samples, predict, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_other_samples_are_another_job(data_root: Path, tmp_path: Path) -> None:
    row, samples = open_row("coco_panoptic_val2017", data_root)
    run_job(make_job(row), row, samples, predict, tmp_path)
    with pytest.raises(UsageError, match="holds another job: its num_samples is 10, this one's is 9"):
        run_job(make_job(row), row, samples.head(9), predict, tmp_path)


def test_a_moved_checkpoint_is_the_same_job(data_root: Path, tmp_path: Path) -> None:
    row, samples = open_row("coco_panoptic_val2017", data_root)
    run_job(make_job(row, checkpoint="a/final.pth"), row, samples, predict, tmp_path)
    assert run_job(make_job(row, checkpoint="b/final.pth"), row, samples, refuse, tmp_path)


def test_a_limited_job_has_coverage_and_no_headline(data_root: Path, tmp_path: Path) -> None:
    row, samples = open_row("coco_panoptic_val2017", data_root)
    content = run_job(make_job(row, limit=4), row, samples, predict, tmp_path)
    assert content["scores"]["PQ"] is None and content["scores"]["SQ"] is not None
    assert (content["num_scored"], content["num_expected"]) == (4, 10)
    assert content["missing"] == list(samples.ids[4:])
    assert content["intervals"] == {}


def test_what_is_asked_is_separate_from_what_is_scored(data_root: Path, tmp_path: Path) -> None:
    row, samples = open_row("coco_panoptic_val2017", data_root)
    asked = job.ask(samples, row, Task.SEMANTIC)
    assert {sample.prompt.sentence for sample in asked} == {"the task is semantic"}
    assert {sample.prompt.task for sample in asked} == {Task.PANOPTIC}
    content = run_job(make_job(row, asked="semantic", role="matrix"), row, samples, predict, tmp_path)
    assert (content["task"], content["asked"], content["role"]) == ("panoptic", "semantic", "matrix")


def test_progress_is_reported_for_every_sample(data_root: Path, tmp_path: Path) -> None:
    row, samples = open_row("coco_panoptic_val2017", data_root)
    heard: list[tuple[int, int]] = []
    run_job(make_job(row), row, samples, predict, tmp_path, report=lambda *pair: heard.append(pair))
    assert heard == [(number, 10) for number in range(1, 11)]


def test_the_matrix_compares_each_metric_with_being_asked_rightly(data_root: Path, tmp_path: Path) -> None:
    rows = [catalog.get(f"coco_{task}_val2017") for task in ("panoptic", "instance", "semantic")]
    cells = matrix.plan_cells(rows, tmp_path)
    assert len(cells) == 9 and len({cell.directory for cell in cells}) == 9
    for cell in cells:
        _, samples = open_row(cell.row.name, data_root)
        role = "system" if cell.is_asked_rightly else "matrix"
        one = make_job(cell.row, asked=str(cell.asked), role=role)
        run_job(one, cell.row, samples, predict, cell.directory)
    found = matrix.compare(cells, "coco_panoptic", resamples=40)
    assert [(cell["scored"], cell["asked"]) for cell in found["cells"]][:3] == [
        ("panoptic", "panoptic"),
        ("panoptic", "instance"),
        ("panoptic", "semantic"),
    ]
    for cell in found["cells"]:
        if cell["scored"] == cell["asked"]:
            assert cell["difference"] is None and cell["interval"] is None
        else:
            low, high = cell["interval"]
            assert low <= cell["difference"] <= high < 0
    own = json.loads((tmp_path / "coco_panoptic_val2017" / "record.json").read_text())["scores"]["PQ"]
    assert found["cells"][0]["value"] == own
    assert found["cells"][1]["difference"] == pytest.approx(found["cells"][1]["value"] - own)


def test_stored_predictions_score_the_same_again(data_root: Path, tmp_path: Path) -> None:
    row, samples = open_row("ade20k_instance_val", data_root)
    content = run_job(make_job(row), row, samples, predict, tmp_path)
    stored = store.open_predictions(tmp_path)
    metric = catalog.build_metric(row, row.headline_protocol(is_mini=True))
    again = summarise(metric, [metric.measure(sample, stored[sample.sample_id]) for sample in samples])
    assert again.values["AP"] == content["scores"]["AP"]
