"""The catalogue and its commands: every row opens, scores its own truth at the ceiling, and says what it is."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from layout_scenes import LAYOUTS, NUM_IMAGES, SIZE, replay, write_root

from benchmark import catalog, metrics, overview, scoring
from benchmark.__main__ import main
from benchmark.contract import Task
from benchmark.problems import DataError, UsageError

ROWS = [name for name, row in catalog.BENCHMARKS.items() if catalog.is_of_the_suite(row)]
TRAINING = [name for name, row in catalog.TRAINING.items() if catalog.is_of_the_suite(row)]
TASKS = (Task.SEMANTIC, Task.INSTANCE, Task.PANOPTIC)
COUNTS = {"coco": 5000, "ade20k": 2000, "cityscapes": 500}
SCHEMA_FIELDS = """schema benchmark display_name is_mini task asked split protocol metric main_score scores intervals
    counts per_class num_expected num_scored missing system variant role seed checkpoint checkpoint_sha256 config_hash
    benchmark_version versions device seconds truth_is_official""".split()  # noqa: SIM905
TRAIN_COUNTS = {"coco": 118287, "ade20k": 20210, "cityscapes": 2975}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_root(tmp_path_factory.mktemp("data"))


def _write_replay(row: catalog.Benchmark, root: Path, folder: Path) -> Path:
    samples = catalog.open_samples(row, root, is_mini=True)
    is_folder = row.task is Task.SEMANTIC or (row.task is Task.INSTANCE and row.dataset == "cityscapes")
    path = folder / (row.name if is_folder else f"{row.name}.json")
    catalog.write_predictions(row, path, [(sample, replay(sample)) for sample in samples])
    return path


def test_the_image_sets_have_three_tasks_and_a_training() -> None:
    pairs = [(row.dataset, row.task) for row in catalog.BENCHMARKS.values() if catalog.is_of_the_suite(row)]
    assert sorted(pairs) == sorted((dataset, task) for dataset in LAYOUTS for task in TASKS)
    trainings = [catalog.get(name) for name in TRAINING]
    assert {row.dataset for row in trainings} == set(LAYOUTS)
    assert all(row.is_train for row in trainings)
    assert {row.dataset for row in trainings if row.task is Task.PANOPTIC} == set(LAYOUTS)


@pytest.mark.parametrize("name", [*catalog.BENCHMARKS, *catalog.TRAINING])
def test_each_row_is_consistent(name: str) -> None:
    row = catalog.get(name)
    assert row.name == name == f"{row.dataset}_{row.task.value}_{row.split}"
    assert row.num_samples > 0 or any("nobody states: not checked" in line for line in overview.describe(row))
    assert row.label_set.num_classes > 0
    for protocol in row.protocols:
        assert row.main_score in metrics.protocol_of(row.metric, protocol).score_names
        assert catalog.build_metric(row, protocol)
    assert row.headline_protocol(is_mini=True) in row.protocols


@pytest.mark.parametrize("name", [*ROWS, *TRAINING])
def test_image_rows_have_the_official_counts(name: str) -> None:
    row = catalog.get(name)
    assert row.num_samples == (TRAIN_COUNTS if row.is_train else COUNTS)[row.dataset]
    assert row.label_set.num_classes == {"coco": 133, "ade20k": 150, "cityscapes": 19}[row.dataset]


@pytest.mark.parametrize("name", ROWS)
def test_each_row_opens_with_its_prompt(root: Path, name: str) -> None:
    row = catalog.get(name)
    samples = catalog.open_samples(row, root, is_mini=True, asked=Task.INSTANCE)
    assert len(samples) == NUM_IMAGES
    sample = samples[0]
    assert sample.size == SIZE and sample.frames[0].is_file()
    assert sample.prompt.task is row.task and sample.prompt.sentence == "the task is instance"


@pytest.mark.parametrize("name", [*ROWS, *TRAINING])
def test_each_row_of_sound_files_passes_the_check(root: Path, name: str) -> None:
    assert len(catalog.verify(catalog.get(name), root, is_mini=True).entries) == NUM_IMAGES


@pytest.mark.parametrize("name", ROWS)
def test_truth_replayed_through_the_command_scores_one(root: Path, tmp_path: Path, name: str) -> None:
    row = catalog.get(name)
    path = _write_replay(row, root, tmp_path)
    out = tmp_path / "record.json"
    assert main(["score", name, str(path), "--data-root", str(root), "--out", str(out), "--work-dir",
                 str(tmp_path / "work")]) == 0  # fmt: skip
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["scores"][row.main_score] == 1.0
    assert record["display_name"] == f"{name}@mini" and record["is_mini"] and not record["truth_is_official"]
    assert record["num_expected"] == record["num_scored"] == NUM_IMAGES and record["missing"] == []
    assert record == json.loads((tmp_path / "work" / name / "record.json").read_text(encoding="utf-8"))


def test_record_has_every_field_of_its_schema(root: Path, tmp_path: Path) -> None:
    row = catalog.get("coco_panoptic_val2017")
    record = scoring.score(scoring.Request(row=row, predictions=_write_replay(row, root, tmp_path), root=root)).record
    assert set(SCHEMA_FIELDS) <= set(record)
    assert record["intervals"]["PQ"] == [1.0, 1.0]


@pytest.mark.parametrize("name", ["coco_panoptic_val2017", "ade20k_semantic_val", "cityscapes_instance_val"])
def test_missing_predictions_leave_no_headline(
    root: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = catalog.get(name)
    samples = catalog.open_samples(row, root, is_mini=True)
    path = tmp_path / ("p.json" if row.task is Task.PANOPTIC else "p")
    catalog.write_predictions(row, path, [(sample, replay(sample)) for sample in samples.head(2)])
    record = scoring.score(scoring.Request(row=row, predictions=path, root=root)).record
    assert (record["num_scored"], record["missing"]) == (2, [samples.ids[2]])
    assert record["scores"][row.main_score] is None and record["intervals"] == {}
    assert main(["score", name, str(path), "--data-root", str(root), "--work-dir", str(tmp_path / "w")]) == 0
    assert "coverage 2 of 3: no headline number" in capsys.readouterr().out


def test_an_image_without_results_is_an_empty_prediction(root: Path, tmp_path: Path) -> None:
    row = catalog.get("coco_instance_val2017")
    (tmp_path / "p.json").write_text("[]", encoding="utf-8")
    record = scoring.score(scoring.Request(row=row, predictions=tmp_path / "p.json", root=root)).record
    assert record["scores"]["AP"] == 0.0 and record["missing"] == []


def test_official_counts_are_enforced_on_official_data_only(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "real")
    (tmp_path / "real" / catalog.MINI_STAMP).unlink()
    row = catalog.get("cityscapes_semantic_val")
    with pytest.raises(DataError, match="has 3 usable images, expected 500"):
        catalog.open_samples(row, tmp_path / "real")
    assert len(catalog.open_samples(row, None, truth=tmp_path / "real/cityscapes/gtFine")) == NUM_IMAGES


def test_truth_may_be_a_subset_without_pictures(root: Path, tmp_path: Path) -> None:
    row = catalog.get("ade20k_semantic_val")
    folder = tmp_path / "some"
    folder.mkdir()
    shutil.copy(next((root / "ade20k/ADEChallengeData2016/annotations/validation").iterdir()), folder)
    assert len(catalog.verify(row, None, truth=folder, needs_frames=False).entries) == 1


@pytest.mark.parametrize("dataset", LAYOUTS)
@pytest.mark.parametrize("task", TASKS)
def test_missing_data_name_the_path_and_the_source(tmp_path: Path, dataset: str, task: Task) -> None:
    row = next(row for row in catalog.BENCHMARKS.values() if (row.dataset, row.task) == (dataset, task))
    with pytest.raises(catalog.DataNotFound) as caught:
        catalog.open_samples(row, tmp_path)
    (problem,) = caught.value.problems
    assert str(tmp_path / LAYOUTS[dataset][2]) in problem.message and "Download" in problem.remedy


@pytest.mark.parametrize(
    ("dataset", "folder"),
    [("coco", "COCO"), ("coco", "."), ("ade20k", "ADEChallengeData2016"), ("ade20k", "."), ("cityscapes", ".")],
)
def test_other_spellings_of_the_folders_are_found(root: Path, tmp_path: Path, dataset: str, folder: str) -> None:
    shutil.copytree(root / LAYOUTS[dataset][2], tmp_path / folder, dirs_exist_ok=True)
    for row in (catalog.get(name) for name in ROWS if catalog.get(name).dataset == dataset):
        assert len(catalog.open_samples(row, tmp_path, is_mini=True)) == NUM_IMAGES


def test_unknown_row_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Did you mean 'coco_panoptic_val2017'.*Run 'list' to see all \d+"):
        catalog.get("coco_panotic_val2017")


def test_unknown_protocol_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'places'"):
        catalog.build_metric(catalog.get("ade20k_instance_val"), "place")


def test_list_names_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    table, _, legend = capsys.readouterr().out.partition("\n\n")
    lines = table.splitlines()
    assert lines[0].split() == ["name", "task", "split", "count", "score", "metric", "protocol", "truth", "server"]
    assert [line.split()[0] for line in lines[1:]] == list(catalog.BENCHMARKS)
    assert f"{len(catalog.BENCHMARKS)} benchmarks; {len(catalog.TRAINING)} training splits more" in legend
    width = {len(line) for line in lines}
    assert max(width) <= 180
    private = next(line for line in lines if line.startswith("coco_panoptic_val2017 "))
    assert " 5,000 " in private and "closed" in private


@pytest.mark.parametrize("name", [*catalog.BENCHMARKS, *catalog.TRAINING])
def test_every_row_can_be_described(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    row = catalog.get(name)
    assert main(["describe", name]) == 0
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line[:1].strip())
    assert facts["name"] == name
    assert facts["task"].startswith(f"{row.task}, split {row.split}, ")
    assert row.unit in facts["task"]
    assert len(facts) == 12 and all(facts.values())


def test_list_as_json_has_the_facts_of_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(catalog.BENCHMARKS)
    assert all({"name", "task", "split", "metric", "main_score"} <= set(row) for row in rows)


def test_describe_says_where_the_data_are_looked_for(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "ade20k_instance_val", "--data-root", str(root)]) == 0
    text = capsys.readouterr().out
    assert "DATA_ROOT/ade20k/ADEChallengeData2016" in text and "coco; others: places" in text
    assert "3 images below" in text


def test_the_help_loads_neither_the_catalogue_nor_numpy() -> None:
    code = (
        "import contextlib, sys; from benchmark.__main__ import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "print(sorted({'benchmark.catalog', 'numpy', 'cv2', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]" and "doctor" in done.stdout


def test_commands_start_fast_and_without_torch() -> None:
    code = (
        "import sys; from benchmark.__main__ import main; main(['list']); "
        "print(sorted({'torch', 'mmengine', 'transformers', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


def test_without_data_a_row_is_scored_on_its_miniature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNISEGBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "results.json").write_text("[]", encoding="utf-8")
    call = ["score", "refcoco_referring_val", str(tmp_path / "results.json"), "--work-dir", str(tmp_path / "work")]
    assert main(call) == 0
    assert "refcoco_referring_val@mini" in capsys.readouterr().out
