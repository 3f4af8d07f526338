"""The built report: self-contained page, equal plots for equal numbers, honest pictures, commands and exit codes."""

from __future__ import annotations

import json
import re
import xml.dom.minidom
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic_run import record, write_json, write_mini_run, write_run

from benchmark import catalog, labels, masks, scoring, store
from benchmark.contract import (
    IGNORE,
    LabelMap,
    Panoptic,
    Prediction,
    Prompt,
    Sample,
    Segment,
    Task,
    Truth,
    make_instances,
)
from benchmark.minidata import generate
from benchmark.problems import DataError
from reports import gallery, plots, render
from reports.__main__ import main
from reports.build import build_page, build_report
from reports.records import load_run
from reports.sources import Places

COCO = labels.load("coco_panoptic")


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = {"train": 1, "val": 4, "heldout": 1}
    return generate.ensure(tmp_path_factory.mktemp("data") / "mini", sizes=sizes, num_workers=1)


@pytest.fixture(scope="module")
def mini_run(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    return write_mini_run(tmp_path_factory.mktemp("runs") / "oneformer-mini-1a2b3c4d", data_root)


@pytest.fixture(scope="module")
def page(mini_run: Path) -> str:
    return build_report(load_run(mini_run), mini_run / "report").read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Collects what a page refers to and whether its elements are closed."""

    VOID = frozenset({"meta", "link", "img", "wbr", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.references += [str(found[name]) for name in ("src", "href") if name in found]
        self.images += [found] if tag == "img" else []
        self.ids += [str(found["id"])] if "id" in found else []
        self.open += [] if tag in self.VOID else [tag]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_self_contained_and_well_formed(page: str) -> None:
    outline = Outline(page)
    assert outline.open == []
    assert outline.references
    assert [r for r in outline.references if not r.startswith(("data:", "#"))] == []
    assert re.findall(r"@import|url\((?!#)|<script", page) == []
    assert len(page) < 6_000_000
    anchors = {r[1:] for r in outline.references if r.startswith("#")}
    assert anchors <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))


def test_every_picture_of_the_page_says_what_it_shows(page: str) -> None:
    outline = Outline(page)
    assert len(outline.images) == 9 * 3 + 5
    for image in outline.images:
        assert image["alt"]
        assert str(image["src"]).startswith("data:image/webp;base64,")
    assert page.count('<svg class="plot" role="img" aria-label="') == 1 + 1 + 3


def test_page_explains_mini_and_shows_every_part(page: str) -> None:
    for part in (
        "What @mini means",
        "95&nbsp;% interval",
        "Does the task sentence matter?",
        "One image, three answers",
    ):
        assert part in page
    for part in ("moved_<wbr>truth", "Published (real data)", "python benchmark/run.py --suite full", "--data-root"):
        assert part in page
    for row in ("panoptic", "instance", "semantic"):
        assert f"coco_{row}_val2017@mini: best, median and worst sample" in page


def test_report_folder_holds_every_form_and_marks_mini(mini_run: Path, page: str) -> None:
    assert page
    files = {
        path.relative_to(mini_run / "report").as_posix() for path in (mini_run / "report").rglob("*") if path.is_file()
    }
    for name in ("headline@mini", "task_prompt_matrix@mini", "provenance@mini", "published"):
        assert {f"tables/{name}.{suffix}" for suffix in ("md", "csv", "tex")} <= files
    assert "plots/training_coco_panoptic@mini.svg" in files
    assert "panels/coco_instance_val2017@mini.worst.png" in files
    unmarked = {name for name in files if "@mini" not in name and not name.startswith("tables/published")}
    assert unmarked == {"index.html"}


def test_report_of_equal_records_is_equal_to_the_byte(mini_run: Path, page: str) -> None:
    assert build_page(load_run(mini_run)) == page


def test_plots_are_valid_themed_and_deterministic(mini_run: Path) -> None:
    run = load_run(mini_run)
    first, second = (plots.training_plot(run.curves["coco_panoptic"], "name", "A <title>") for _ in range(2))
    assert first == second
    assert "currentColor" in first
    assert "prefers-color-scheme:dark" in first
    assert not re.search(r"20\d\d-\d\d-\d\d|http://(?!www\.w3\.org/)|xlink", first)
    document = xml.dom.minidom.parseString(first)
    assert document.documentElement.getAttribute("aria-label") == "A <title>"
    assert plots.matrix_plot(run.matrix, "m", "t") == plots.matrix_plot(run.matrix, "m", "t")


def test_missing_images_leave_a_page_that_says_so(mini_run: Path, tmp_path: Path) -> None:
    page = build_page(load_run(mini_run), places=Places(data_root=tmp_path))
    assert "No panels:" in page
    assert str(tmp_path) in page
    assert "<img" not in page


def test_page_of_an_incomplete_run_shows_coverage_and_rows_not_run(tmp_path: Path) -> None:
    content = record("coco_panoptic_val2017", num_scored=7, scores={"PQ": None, "SQ": 0.5})
    write_json(tmp_path / "coco_panoptic_val2017" / "record.json", content)
    row = {"display_name": "coco_instance_val2017@mini", "state": "not run", "reason": "looked in /data"}
    write_json(tmp_path / "plan.json", {"rows": [row], "command": "x"})
    page = build_page(load_run(tmp_path))
    assert "7/200 samples scored: no headline number" in page
    assert "not run" in page


def test_best_median_and_worst_are_chosen_by_their_own_score(mini_run: Path) -> None:
    run = load_run(mini_run)
    found = next(r for r in run.records if r.task == "panoptic")
    samples = catalog.open_samples(catalog.get(found.benchmark), Path(run.plan["data_root"]), is_mini=True)
    shown = gallery.panels(found, samples, store.open_predictions(found.folder))
    assert [panel.rank for panel in shown] == ["best", "median", "worst"]
    scores = [float(panel.score_text.split()[1]) for panel in shown]
    assert scores == sorted(scores, reverse=True)
    assert len({panel.sample_id for panel in shown}) == 3
    assert [tile.title for tile in shown[0].tiles] == ["image", "truth", "prediction"]


def test_scored_files_of_another_tool_get_panels_too(mini_run: Path, data_root: Path, tmp_path: Path) -> None:
    row = catalog.get("coco_semantic_val2017")
    samples = catalog.open_samples(row, data_root, is_mini=True)
    predictions = store.open_predictions(mini_run / row.name)
    catalog.write_predictions(row, tmp_path / "theirs", ((sample, predictions[sample.sample_id]) for sample in samples))
    request = scoring.Request(row=row, predictions=tmp_path / "theirs", root=data_root, resamples=0)
    scoring.keep(request, scoring.score(request), tmp_path / "run")
    page = build_page(load_run(tmp_path / "run"))
    assert Outline(page).images
    assert "theirs" in page


def drawn(frame: Panoptic | LabelMap) -> np.ndarray:
    """A tile of an annotation over a black 8x8 image: every pixel 48 wide."""
    picture = render.draw(np.zeros((8, 8, 3), np.uint8), frame, COCO)
    assert picture.shape == (384, 384, 3)
    return picture


def test_void_is_hatched_and_classes_keep_their_colour() -> None:
    ids = np.zeros((8, 8), np.int32)
    ids[:, 4:] = 1
    picture = drawn(Panoptic(segment_id=ids, segments=(Segment(id=1, class_index=0),)))
    left, right = picture[:150, :180], picture[:150, 205:]
    assert len(np.unique(left.reshape(-1, 3), axis=0)) == 2
    assert np.array_equal(right[0, 0], np.uint8(0.62 * np.array(COCO.classes[0].color)))


def test_crowd_is_hatched_in_its_colour() -> None:
    ids = np.ones((8, 8), np.int32)
    plain = drawn(Panoptic(segment_id=ids, segments=(Segment(id=1, class_index=0),)))
    crowd = drawn(Panoptic(segment_id=ids, segments=(Segment(id=1, class_index=0, is_crowd=True),)))
    assert len(np.unique(plain[:100, :100].reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(crowd[:100, :100].reshape(-1, 3), axis=0)) == 2


def test_ignored_pixels_of_a_label_map_are_hatched() -> None:
    picture = drawn(LabelMap(class_index=np.full((8, 8), IGNORE, np.uint16)))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 2


def test_matching_objects_keep_their_colour_and_faint_ones_are_left_out(tmp_path: Path) -> None:
    grid = np.zeros((2, 8, 8), bool)
    grid[0, :3, :3], grid[1, 5:, 5:] = True, True
    rles = masks.encode_many(grid)
    truth = make_instances(class_index=[0, 1], masks=rles)
    found = make_instances(class_index=[1, 0], masks=rles[::-1], score=np.array([0.9, 0.8]))
    faint = make_instances(class_index=[1, 0], masks=rles[::-1], score=np.array([0.9, 0.2]))
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(tmp_path / "image.png")
    sample = Sample(
        sample_id="1",
        frames=(tmp_path / "image.png",),
        size=(8, 8),
        prompt=Prompt(task=Task.INSTANCE),
        truth=Truth(frames=(truth,)),
    )
    panel = render.panel(sample, Prediction(frames=(found,)), COCO, rank="best")
    _, first, second = (tile.picture for tile in panel.tiles)
    for y, x in ((100, 100), (340, 300)):
        assert np.array_equal(first[y, x], second[y, x])
    third = render.panel(sample, Prediction(frames=(faint,)), COCO, rank="best").tiles[2]
    assert third.alt == "prediction: bicycle"
    gone = replace(sample, frames=(tmp_path / "gone.png",))
    with pytest.raises(DataError, match=r"gone\.png: the image of sample 1 cannot be read"):
        render.panel(gone, Prediction(frames=(found,)), COCO, rank="best")


def test_real_size_images_are_shrunk_to_a_tile() -> None:
    picture = render.draw(
        np.zeros((480, 640, 3), np.uint8), LabelMap(class_index=np.zeros((480, 640), np.uint16)), COCO
    )
    assert picture.shape == (360, 480, 3)


def test_compare_pairs_the_samples_of_two_runs(mini_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked_wrongly = next((mini_run / "matrix").glob("coco_panoptic*")) / "record.json"
    assert main(["compare", str(mini_run / "coco_panoptic_val2017"), str(asked_wrongly)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"coco_panoptic_val2017@mini .* \N{MINUS SIGN}\d+\.\d \[\N{MINUS SIGN}.*\] \*", out)


@pytest.mark.parametrize(("shift", "code"), [(0.0, 0), (-0.2, 1), (0.2, 0)])
def test_check_exits_1_exactly_when_a_score_fell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shift: float, code: int
) -> None:
    old, new, file = write_run(tmp_path / "old"), write_run(tmp_path / "new", shift), tmp_path / "baseline.json"
    assert main(["baseline", str(old), "--out", str(file), "--tolerance", "0.01", "--note", "here"]) == 0
    assert json.loads(file.read_text(encoding="utf-8"))["note"] == "here"
    junit = tmp_path / "ci" / "junit.xml"
    assert main(["check", str(new), "--baseline", str(file), "--junit", str(junit), "--annotate"]) == code
    out = capsys.readouterr().out
    assert ("::error" in out) == bool(code)
    assert junit.read_text(encoding="utf-8").count("<failure") == (9 if code else 0)


def test_table_and_html_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run")
    assert main(["table", str(run), "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("Benchmark,Metric,oneformer:mini,oneformer:mini low")
    assert main(["html", str(run), "--out", str(tmp_path / "out" / "page.html")]) == 0
    assert (tmp_path / "out" / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    "arguments",
    [
        ["table", "nowhere"],
        ["html", "nowhere", "--out", "page.html"],
        ["build", "nowhere"],
        ["check", "{run}", "--baseline", "nowhere.json"],
        ["baseline", "{run}", "--out", "baseline.json"],
        ["baseline", "{run}", "--out", "{run}/plan.json/baseline.json", "--tolerance", "0"],
        ["compare", "{run}", "{run}"],
        ["build", "{run}", "--out", "{run}/plan.json"],
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    run = write_run(tmp_path / "run")
    assert main([argument.replace("{run}", str(run)) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
