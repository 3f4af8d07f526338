"""The gate: what fell, what is missing, what improved, and what a baseline is made of."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from synthetic_run import record, write_json, write_run

from benchmark import catalog
from benchmark.problems import DataError, UsageError
from reports import check as check_module
from reports.check import (
    Verdict,
    annotation_lines,
    check,
    comparison_table,
    make_baseline,
    read_baseline,
    to_json,
    to_junit,
)
from reports.records import Run, load_run
from reports.tables import to_markdown


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return load_run(write_run(tmp_path / "run"))


def shifted(tmp_path: Path, shift: float, name: str = "other") -> Run:
    return load_run(write_run(tmp_path / name, shift))


def test_a_run_passes_against_itself_exactly(run: Run) -> None:
    baseline = make_baseline([run], note="", command="", tolerance=0.0)
    assert {comparison.verdict for comparison in check([run], baseline)} == {Verdict.SAME}


@pytest.mark.parametrize(
    ("shift", "tolerance", "verdict"),
    [
        (-0.02, 0.01, Verdict.FELL),
        (-0.005, 0.01, Verdict.SAME),
        (0.02, 0.01, Verdict.IMPROVED),
        (-2e-9, 1e-9, Verdict.FELL),
        (-5e-10, 1e-9, Verdict.SAME),
    ],
)
def test_verdict_follows_the_tolerance(
    run: Run, tmp_path: Path, shift: float, tolerance: float, verdict: Verdict
) -> None:
    baseline = make_baseline([run], note="", command="", tolerance=tolerance)
    comparisons = check([shifted(tmp_path, shift)], baseline)
    assert {comparison.verdict for comparison in comparisons} == {verdict}
    assert all(comparison.is_failure == (verdict is Verdict.FELL) for comparison in comparisons)


@pytest.mark.parametrize(("shift", "verdict"), [(2e-9, "changed"), (-2e-9, "fell"), (5e-10, "same")])
def test_exact_baseline_fails_for_a_rise_too(run: Run, tmp_path: Path, shift: float, verdict: str) -> None:
    baseline = make_baseline([run], note="", command="", tolerance=1e-9, is_exact=True)
    comparisons = check([shifted(tmp_path, shift)], baseline)
    assert {comparison.verdict.value for comparison in comparisons} == {verdict}
    assert all(comparison.is_failure == (verdict != "same") for comparison in comparisons)


def test_missing_row_missing_metric_and_missing_samples_are_failures(run: Run, tmp_path: Path) -> None:
    baseline = make_baseline([run], note="", command="", tolerance=0.5)
    changed = record("coco_panoptic_val2017", num_scored=150)
    write_json(tmp_path / "new" / "coco_panoptic_val2017" / "record.json", changed)
    changed = record("coco_instance_val2017", scores={"AP": None, "AP50": 0.6})
    write_json(tmp_path / "new" / "coco_instance_val2017" / "record.json", changed)
    failures = {(c.row, c.metric): c.reason for c in check([load_run(tmp_path / "new")], baseline) if c.is_failure}
    assert failures["coco_panoptic_val2017@mini", "PQ"] == "150 of 200 samples were scored"
    assert failures["coco_instance_val2017@mini", "AP"] == "the record has no value for it"
    assert failures["coco_semantic_val2017@mini", "mIoU"] == "the run has no record of this row"
    assert ("coco_instance_val2017@mini", "AP50") not in failures


def test_real_numbers_never_meet_a_mini_baseline(run: Run, tmp_path: Path) -> None:
    baseline = make_baseline([run], note="", command="", tolerance=1.0)
    content = record("coco_panoptic_val2017", display_name="coco_panoptic_val2017", is_mini=False)
    write_json(tmp_path / "real" / "coco_panoptic_val2017" / "record.json", content)
    assert all(c.verdict is Verdict.MISSING for c in check([load_run(tmp_path / "real")], baseline))


def test_tolerance_is_measured_from_the_spread_of_seeds(tmp_path: Path) -> None:
    runs = [shifted(tmp_path, shift, f"seed{i}") for i, shift in enumerate((-0.01, 0.0, 0.02))]
    baseline = make_baseline(runs, note="", command="", factor=2.0, floor=0.01)
    expected = baseline.scores["coco_panoptic_val2017@mini"]["PQ"]
    assert expected.value == pytest.approx(0.6123 + 0.01 / 3)
    assert expected.tolerance == pytest.approx(0.06)
    assert "APs" not in baseline.scores["coco_instance_val2017@mini"]
    equal = make_baseline([runs[0], runs[0]], note="", command="", floor=0.01)
    assert equal.scores["coco_panoptic_val2017@mini"]["PQ"].tolerance == 0.01


def test_baseline_needs_whole_comparable_runs(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no spread"):
        make_baseline([run], note="", command="")
    write_json(tmp_path / "less" / "coco_panoptic_val2017" / "record.json", record("coco_panoptic_val2017"))
    with pytest.raises(UsageError, match=r"different rows: coco_instance_val2017@mini"):
        make_baseline([run, load_run(tmp_path / "less")], note="", command="")
    short = record("coco_panoptic_val2017", num_scored=3)
    write_json(tmp_path / "short" / "coco_panoptic_val2017" / "record.json", short)
    with pytest.raises(UsageError, match="3/200"):
        make_baseline([load_run(tmp_path / "short")], note="", command="", tolerance=0.1)


@pytest.mark.parametrize("is_exact", [True, False])
def test_baseline_file_keeps_every_bit(run: Run, tmp_path: Path, is_exact: bool) -> None:
    facts = {"note": "three seeds", "command": "python -m reports baseline", "tolerance": 1e-9}
    baseline = make_baseline([run], **facts, is_exact=is_exact)
    path = tmp_path / "baseline.json"
    path.write_text(to_json(baseline), encoding="utf-8")
    assert read_baseline(path) == baseline
    assert json.loads(path.read_text(encoding="utf-8"))["schema"] == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"scores": {"row": {"PQ": 0.5}}}', '{"rows": {}}'])
def test_file_that_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"baseline\.json: not a baseline"):
        read_baseline(path)
    with pytest.raises(UsageError, match="Cannot read the baseline"):
        read_baseline(tmp_path / "nowhere.json")


def test_committed_baselines_say_what_they_are() -> None:
    folder = Path(check_module.__file__).with_name("baselines")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for path in folder.glob("*.json"):
        baseline = read_baseline(path)
        assert baseline.note, path
        assert baseline.command, path
        assert f"`{path.name}`" in readme
        assert {row.removesuffix("@mini") for row in baseline.scores} <= set(catalog.BENCHMARKS)
    assert "python -m reports baseline" in readme


def test_junit_and_annotations_name_every_failure(run: Run, tmp_path: Path) -> None:
    baseline = make_baseline([run], note="", command="", tolerance=0.001)
    comparisons = check([shifted(tmp_path, -0.1)], baseline)
    suite = ElementTree.fromstring(to_junit(comparisons))
    assert suite.get("tests") == suite.get("failures") == str(len(comparisons))
    failures = suite.findall("testcase/failure")
    assert failures[0].get("message", "").startswith("coco_instance_val2017@mini AP fell: 26.8 (\N{MINUS SIGN}10.0)")
    lines = annotation_lines(comparisons)
    assert len(lines) == len(comparisons)
    assert lines[0].startswith(
        "::error title=coco_instance_val2017@mini AP fell::coco_instance_val2017@mini AP fell: 26.8"
    )


def test_table_lists_failures_before_improvements_and_counts_all(run: Run, tmp_path: Path) -> None:
    baseline = make_baseline([run], note="", command="", tolerance=0.001)
    content = record("coco_panoptic_val2017")
    content["scores"].update({"PQ": 0.7, "SQ": 0.1})
    write_json(tmp_path / "new" / "coco_panoptic_val2017" / "record.json", content)
    text = to_markdown(comparison_table(check([load_run(tmp_path / "new")], baseline)))
    assert text.index("fell") < text.index("missing") < text.index("improved")
    assert text.rstrip().endswith("9 scores: 1 fell, 4 missing, 1 improved, 3 same.")
