"""What `describe` says of result files is what the readers take; `test_every_row` compares it with written files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark import catalog, overview
from benchmark.__main__ import main
from benchmark.datasets.pictures import the_file, the_folder
from benchmark.problems import DataError
from benchmark.result_forms import ResultForm, one_kind

ROWS = {**catalog.BENCHMARKS, **catalog.TRAINING}


@pytest.mark.parametrize("name", ROWS)
def test_every_row_says_what_it_takes_and_how_it_is_called(name: str) -> None:
    row, text = ROWS[name], "\n".join(overview.describe(ROWS[name]))
    forms = row.layout.result_forms(row)
    assert forms and all(line in text for form in forms for line in form.lines())
    assert re.search(rf"score {re.escape(name)} {re.escape(forms[0].given)} --data-root DATA_ROOT$", text)
    assert "zip" in text.split("predictions", 1)[1]


@pytest.mark.parametrize(
    ("form", "fitting", "others"),
    [
        (one_kind("results.json", "a list"), ["results.json"], ["results/a.json", "other.json", "resultsXjson"]),
        (one_kind("results/<video>/<frame>.png", "ids"), ["results/a/0.png"], ["results/0.png", "results/a/b/0.png"]),
        (one_kind("results/**/<image>*.png", "ids"), ["results/a.png", "results/b/c/a.png"], ["a.png"]),
        (ResultForm(files={"r/<a>.txt": "", "r/<b>.png": ""}), ["r/1.txt", "r/1.png"], ["r/1.json"]),
    ],
)
def test_names_of_a_form(form: ResultForm, fitting: list[str], others: list[str]) -> None:
    assert [name for name in [*fitting, *others] if form.fits(name)] == fitting


@pytest.mark.parametrize(
    ("name", "expected"),
    [("openimages_detection_challenge2019_val", "results.csv"), ("coco_detection_val2017", "results.json")],
)
def test_a_folder_in_place_of_a_file_is_told_the_form(tmp_path: Path, name: str, expected: str) -> None:
    with pytest.raises(DataError, match=f"one file such as {expected}"):
        the_file(tmp_path, ROWS[name])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("lasot_sot_test", "<video>.txt"), ("cityscapes_instance_val", "<mask>.png"), ("sav_vos_val", "<object>")],
)
def test_a_file_in_place_of_a_folder_is_told_the_form(tmp_path: Path, name: str, expected: str) -> None:
    file = tmp_path / "results.txt"
    file.write_text("")
    with pytest.raises(DataError, match=f"a folder with .*{re.escape(expected)}"):
        the_folder(file, ROWS[name])


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "davis17_vos_val"]) == 0
    assert "predictions results/<video>/<frame>.png" in capsys.readouterr().out
