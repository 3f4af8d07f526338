"""Tables print what the records say: percent, em dashes, coverage, `@mini`; frozen as golden text."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest
from synthetic_run import record, write_json, write_run

from benchmark.problems import DataError, UsageError
from reports import published
from reports.records import Run, load_record, load_run
from reports.summary import (
    headline_table,
    matrix_table,
    per_class_table,
    provenance_table,
    published_matrix_table,
    published_table,
    scores_table,
)
from reports.tables import Score, Table, percent, to_csv, to_latex, to_markdown

GOLDEN = Path(__file__).parent / "golden" / "tables"
NUMBERS = published.load()
SPELLINGS = {"md": to_markdown, "csv": to_csv, "tex": to_latex}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load_run(write_run(tmp_path_factory.mktemp("runs") / "oneformer-mini-1a2b3c4d"))


def tables(run: Run) -> dict[str, Table]:
    found = [
        headline_table([run], NUMBERS),
        published_table([run], NUMBERS),
        scores_table(run.records, "panoptic"),
        per_class_table(run.records[0]),
        matrix_table(run),
        published_matrix_table(NUMBERS, "oneformer"),
        provenance_table(run.records),
    ]
    return {table.name: table for table in found}


def write_golden() -> None:
    """Write the golden files anew; see the README beside them."""
    with tempfile.TemporaryDirectory() as folder:
        run = load_run(write_run(Path(folder) / "oneformer-mini-1a2b3c4d"))
        for suffix, spell in SPELLINGS.items():
            text = "\n".join(spell(table) for table in tables(run).values())
            (GOLDEN / f"synthetic_run.{suffix}").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("suffix", SPELLINGS)
def test_tables_equal_their_golden_text(run: Run, suffix: str) -> None:
    text = "\n".join(SPELLINGS[suffix](table) for table in tables(run).values())
    assert text == (GOLDEN / f"synthetic_run.{suffix}").read_text(encoding="utf-8")


def test_mini_is_visible_in_every_table_with_mini_numbers(run: Run) -> None:
    for name, table in tables(run).items():
        if "published" not in name:
            assert "@mini" in table.title, name
    assert all(str(row[0]).endswith("@mini") for row in headline_table([run], NUMBERS).rows)


def test_published_numbers_stand_apart_from_mini_numbers(run: Run) -> None:
    table = headline_table([run], NUMBERS)
    assert table.columns[-1] == "Published (real data)"
    assert "cannot be compared" in table.note


def test_incomplete_coverage_replaces_the_number(tmp_path: Path) -> None:
    content = record("coco_panoptic_val2017", num_scored=199, missing=["000000000007"])
    write_json(tmp_path / "coco_panoptic_val2017" / "record.json", content)
    run = load_run(tmp_path)
    text = to_markdown(headline_table([run], NUMBERS))
    assert "199/200 scored" in text
    assert "61.2" not in text
    text = to_markdown(scores_table(run.records, "panoptic"))
    assert "199/200" in text
    assert "57.0" not in text
    assert per_class_table(run.records[0]).title.endswith("only 199/200 samples")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.6123, "61.2"),
        (1.0, "100.0"),
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (math.nan, "\N{EM DASH}"),
        (-0.3, "\N{MINUS SIGN}30.0"),
    ],
)
def test_fractions_print_as_percent(value: float, text: str) -> None:
    assert percent(value) == text


def test_differences_print_with_their_sign() -> None:
    assert percent(0.004, is_difference=True) == "+0.4"
    assert percent(-0.00001, is_difference=True) == "0.0"


def test_special_characters_survive_every_spelling() -> None:
    table = Table(
        name="t", title="100 % & more", columns=("a|b", "c_d"), rows=(("x|y", Score(value=0.5)), ("{~^}\\", None))
    )
    assert r"x\|y" in to_markdown(table)
    latex = to_latex(table)
    assert r"100 \% \& more" in latex
    assert r"\{\textasciitilde{}\textasciicircum{}\}\textbackslash{} & --- \\" in latex
    assert to_csv(table).splitlines() == ["a|b,c_d", "x|y,50.0000", "{~^}\\,"]


def test_csv_gives_intervals_columns_of_their_own() -> None:
    rows = (("x", Score(value=0.5, low=0.25, high=0.75)), ("y", None))
    table = Table(name="t", title="t", columns=("name", "AP"), rows=rows)
    assert to_csv(table).splitlines() == ["name,AP,AP low,AP high", "x,50.0000,25.0000,75.0000", "y,,,"]


def test_two_runs_of_one_model_get_a_column_each(tmp_path: Path) -> None:
    runs = [load_run(write_run(tmp_path / name, shift)) for name, shift in (("first", 0.0), ("second", 0.01))]
    table = headline_table(runs, NUMBERS)
    assert table.columns[2:4] == ("oneformer:mini (first)", "oneformer:mini (second)")


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "golden" / "records").glob("*.json")), ids=lambda p: p.stem
)
def test_old_records_still_load(path: Path) -> None:
    loaded = load_record(path)
    assert loaded.benchmark == "coco_panoptic_val2017"
    assert loaded.scores["PQ"] == 0.5
    assert math.isnan(loaded.scores["PQ_st"])
    assert loaded.is_complete


def test_record_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_json(path, record("coco_panoptic_val2017", schema=99))
    with pytest.raises(DataError, match="schema 99 is newer"):
        load_record(path)


def test_all_broken_records_of_a_run_are_named_at_once(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "coco_panoptic_val2017" / "record.json").write_text("{", encoding="utf-8")
    write_json(run / "coco_semantic_val2017" / "record.json", {"schema": 1, "benchmark": "coco_semantic_val2017"})
    with pytest.raises(DataError) as caught:
        load_run(run)
    assert len(caught.value.problems) == 2
    assert "lacks main_score, scores, num_expected, num_scored" in str(caught.value)


def test_empty_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no record\.json"):
        load_run(tmp_path)
    with pytest.raises(UsageError, match="No run directory"):
        load_run(tmp_path / "nowhere")


def test_scalars_cut_by_a_kill_still_load(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    path = folder / "train" / "ade20k" / "scalars.json"
    path.write_text(path.read_text(encoding="utf-8") + '{"step": 420, "lo', encoding="utf-8")
    curves = load_run(folder).curves["ade20k"]
    assert len(curves["step"]) == len(curves["loss_dice"]) == 40


def test_curves_of_a_stage_before_the_training_are_named_after_both(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    stage = folder / "train" / "ade20k" / "warm_up" / "scalars.json"
    stage.parent.mkdir()
    stage.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0, "lr": 0.1}\n', encoding="utf-8")
    curves = load_run(folder).curves
    assert list(curves) == ["ade20k", "ade20k: warm_up", "coco_panoptic"]
    assert curves["ade20k: warm_up"]["loss"] == [2.0, 1.0]
    assert math.isnan(curves["ade20k: warm_up"]["lr"][0])
