"""Every layout: what is written is what is read, all layouts of one scene agree, official tools read our files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from layout_scenes import LAYOUTS, NUM_IMAGES, replay, same, scene, write_root

from benchmark import catalog, labels, masks
from benchmark.contract import IGNORE, Instances, LabelMap, Panoptic, PredictionSet, SampleSet, Task
from benchmark.formats import derived
from benchmark.formats.image_files import read_numbers, read_rgb
from benchmark.formats.panoptic_files import paint, paint_classes

ROWS = sorted(name for name, row in catalog.BENCHMARKS.items() if catalog.is_of_the_suite(row))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_root(tmp_path_factory.mktemp("data"))


def _open(name: str, root: Path, **options: object) -> SampleSet:
    return catalog.open_samples(catalog.get(name), root, is_mini=True, **options)  # type: ignore[arg-type]


def _panoptic(samples: SampleSet, index: int) -> Panoptic:
    truth = samples[index].truth
    assert truth is not None and isinstance(truth.frames[0], Panoptic)
    return truth.frames[0]


def _objects(samples: SampleSet, index: int) -> Instances:
    truth = samples[index].truth
    assert truth is not None and isinstance(truth.frames[0], Instances)
    return truth.frames[0]


def _class_names(panoptic: Panoptic, dataset: str) -> np.ndarray:
    """Name of every pixel's class and object kind; the names of sky differ between the label sets."""
    label_set = labels.load(LAYOUTS[dataset][1])
    names = np.array(["void", *(row.name.replace("sky-other-merged", "sky") for row in label_set.everything)])
    value = {row.class_index: row.class_index + 1 for row in label_set.everything}
    return names[paint_classes(panoptic, value, 0)]


def test_coco_truth_is_what_was_written(root: Path) -> None:
    samples = _open("coco_panoptic_val2017", root)
    assert len(samples) == NUM_IMAGES
    for index in range(NUM_IMAGES):
        assert same(_panoptic(samples, index), scene(index + 1, "coco").panoptic)


def test_ade20k_truth_is_what_was_written_without_crowds(root: Path) -> None:
    samples = _open("ade20k_panoptic_val", root)
    for index in range(NUM_IMAGES):
        written = scene(index + 1, "ade20k").panoptic
        read = _panoptic(samples, index)
        assert same(read.segments, tuple(segment for segment in written.segments if not segment.is_crowd))
        assert np.array_equal(read.segment_id, np.where(written.segment_id == 6, 0, written.segment_id))


def test_cityscapes_truth_is_what_was_written_in_its_own_numbering(root: Path) -> None:
    samples = _open("cityscapes_panoptic_val", root)
    for index in range(NUM_IMAGES):
        written, read = scene(index + 1, "cityscapes").panoptic, _panoptic(samples, index)
        number = {1: 23, 2: 7, 3: 24000, 4: 26000, 5: 26001, 6: 24}
        assert {segment.id for segment in read.segments} == set(number.values())
        assert np.array_equal(read.segment_id, paint(written.segment_id, number, 0))
        assert [segment.id for segment in read.segments if segment.is_crowd] == [24]


@pytest.mark.parametrize("dataset", LAYOUTS)
def test_all_layouts_of_a_scene_have_the_same_classes(root: Path, dataset: str) -> None:
    row = next(row for row in catalog.BENCHMARKS.values() if row.dataset == dataset and row.task is Task.PANOPTIC)
    read = _class_names(_panoptic(_open(row.name, root), 0), dataset)
    expected = _class_names(scene(1, "coco").panoptic, "coco")
    if dataset == "ade20k":
        expected = np.where(scene(1, "coco").panoptic.segment_id == 6, "void", expected)
    assert np.array_equal(read, expected)


def test_all_layouts_of_a_scene_have_the_same_objects(root: Path) -> None:
    found = {}
    for name in ("coco_instance_val2017", "ade20k_instance_val", "cityscapes_instance_val"):
        objects = _objects(_open(name, root), 1)
        assert objects.masks is not None
        found[name] = {objects.masks[row] for row in np.flatnonzero(~objects.is_crowd)}
    assert found["coco_instance_val2017"] == found["ade20k_instance_val"] == found["cityscapes_instance_val"]
    assert len(found["coco_instance_val2017"]) == 3


def test_all_layouts_of_a_scene_have_the_same_semantic_map(root: Path) -> None:
    found = []
    for name, dataset in (("coco_semantic_val2017", "coco"), ("ade20k_semantic_val", "ade20k")):
        truth = _open(name, root)[2].truth
        assert truth is not None and isinstance(truth.frames[0], LabelMap)
        names = np.array([*(row.name.removesuffix("-other-merged") for row in _labels(dataset).classes), "void"])
        found.append(names[np.minimum(truth.frames[0].class_index, len(names) - 1)])
    city = _open("cityscapes_semantic_val", root)[2].truth
    assert city is not None and isinstance(city.frames[0], LabelMap)
    everything = [row.name for row in _labels("cityscapes").everything]
    found.append(np.where(city.frames[0].class_index < 19, np.array(everything)[city.frames[0].class_index], "void"))
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_coco_instances_equal_those_derived_from_the_panoptic_file(root: Path) -> None:
    own = _open("coco_instance_val2017", root)
    path = root / "coco/annotations/panoptic_val2017.json"
    from_panoptic = _open("coco_instance_val2017", root, truth=path)
    for index in range(NUM_IMAGES):
        first, second = _objects(own, index), _objects(from_panoptic, index)
        for name in ("masks", "boxes", "area", "class_index", "is_crowd"):
            assert same(getattr(first, name), getattr(second, name)), name


def test_coco_semantic_maps_equal_those_derived_from_the_panoptic_file(root: Path, tmp_path: Path) -> None:
    own = _open("coco_semantic_val2017", root)
    shutil.copytree(root / "coco", tmp_path / "coco")
    shutil.rmtree(tmp_path / "coco/panoptic_semseg_val2017")
    from_panoptic = _open("coco_semantic_val2017", tmp_path)
    assert own.ids == from_panoptic.ids == ("1", "2", "3")
    assert all(same(own[index].truth, from_panoptic[index].truth) for index in range(NUM_IMAGES))
    crowd = labels.load("coco_panoptic").index_named("person")
    truth = own[0].truth
    assert truth is not None and isinstance(truth.frames[0], LabelMap)
    assert truth.frames[0].class_index[45, 75] == crowd and truth.frames[0].class_index[69, 0] == IGNORE


@pytest.mark.parametrize(
    ("name", "removed"),
    [
        ("ade20k_panoptic_val", "ade20k/ADEChallengeData2016/ade20k_panoptic_val.json"),
        ("cityscapes_panoptic_val", "cityscapes/gtFine/cityscapes_panoptic_val.json"),
    ],
)
def test_panoptic_truth_is_derived_where_its_file_is_missing(
    root: Path, tmp_path: Path, name: str, removed: str
) -> None:
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    (tmp_path / removed).unlink()
    own, again = _open(name, root), _open(name, tmp_path)
    for index in range(NUM_IMAGES):
        first, second = _panoptic(own, index), _panoptic(again, index)
        assert _regions(first) == _regions(second)


def _regions(panoptic: Panoptic) -> set[tuple[int, bool, bytes]]:
    rles = masks.encode_ids(panoptic.segment_id, [segment.id for segment in panoptic.segments])
    return {(s.class_index, s.is_crowd, rle.counts) for s, rle in zip(panoptic.segments, rles, strict=True)}


def _labels(dataset: str) -> labels.LabelSet:
    return labels.load(LAYOUTS[dataset][1])


@pytest.mark.parametrize("name", ROWS)
def test_predictions_are_read_as_they_were_written(root: Path, tmp_path: Path, name: str) -> None:
    row = catalog.get(name)
    samples = _open(name, root)
    path = _result_path(tmp_path, name)
    given = {sample.sample_id: replay(sample) for sample in samples}
    catalog.write_predictions(row, path, [(sample, given[sample.sample_id]) for sample in samples])
    read = catalog.read_predictions(row, path, samples)
    assert isinstance(read, PredictionSet) and read.ids == samples.ids
    for sample_id, prediction in given.items():
        first, second = prediction.frames[0], read[sample_id].frames[0]
        if isinstance(first, Instances):
            assert isinstance(second, Instances)
            assert all(same(getattr(first, key), getattr(second, key)) for key in ("masks", "class_index", "score"))
        elif isinstance(first, Panoptic):
            assert isinstance(second, Panoptic) and np.array_equal(first.segment_id, second.segment_id)
            assert [(s.id, s.class_index) for s in first.segments] == [(s.id, s.class_index) for s in second.segments]
        else:
            assert same(_evaluated(first, row.dataset), _evaluated(second, row.dataset))


def _evaluated(found: object, dataset: str) -> np.ndarray:
    assert isinstance(found, LabelMap)
    return np.where(found.class_index < _labels(dataset).num_classes, found.class_index, IGNORE)


def _result_path(folder: Path, name: str) -> Path:
    row = catalog.get(name)
    is_folder = row.task is Task.SEMANTIC or (row.task is Task.INSTANCE and row.dataset == "cityscapes")
    return folder / name if is_folder else folder / f"{name}.json"


@pytest.mark.parametrize("dataset", LAYOUTS)
def test_images_written_one_by_one_in_any_order_make_the_same_files(root: Path, tmp_path: Path, dataset: str) -> None:
    layout, label_set, folder = LAYOUTS[dataset]
    numbers = (2, 3, 1)
    records = [
        json.loads(json.dumps(layout.write_image(tmp_path, "val", scene(n, dataset), labels.load(label_set))))
        for n in numbers
    ]
    layout.write_index(tmp_path, "val", records, labels.load(label_set))
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(written) >= 3 * NUM_IMAGES
    assert all((tmp_path / path).read_bytes() == (root / folder / path).read_bytes() for path in written)


def test_cityscapes_panoptic_file_with_train_ids_reads_the_same(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "cityscapes", tmp_path / "cityscapes")
    path = tmp_path / "cityscapes/gtFine/cityscapes_panoptic_val.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    label_set = labels.load("cityscapes")
    for record in [s for a in document["annotations"] for s in a["segments_info"]]:
        record["category_id"] = label_set.index_of(record["category_id"])
    del document["categories"]
    path.write_text(json.dumps(document), encoding="utf-8")
    own, again = _open("cityscapes_panoptic_val", root), _open("cityscapes_panoptic_val", tmp_path)
    assert all(same(_panoptic(own, index), _panoptic(again, index)) for index in range(NUM_IMAGES))


def test_ade20k_results_in_the_numbering_of_the_places_challenge_read_the_same(root: Path, tmp_path: Path) -> None:
    row = catalog.get("ade20k_instance_val")
    samples = _open(row.name, root)
    catalog.write_predictions(row, tmp_path / "a.json", [(sample, replay(sample)) for sample in samples])
    entries = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    label_set = labels.load("ade20k")
    for entry in entries:
        entry["image_id"] = 20210 + int(entry["image_id"][-8:]) - 1
        entry["category_id"] = label_set.everything[entry["category_id"]].instance_category_id
    (tmp_path / "b.json").write_text(json.dumps(entries), encoding="utf-8")
    first = catalog.read_predictions(row, tmp_path / "a.json", samples)
    second = catalog.read_predictions(row, tmp_path / "b.json", samples)
    assert all(same(first[sample_id], second[sample_id]) for sample_id in samples.ids)


def test_semantic_map_is_derived_with_crowds(root: Path) -> None:
    written = scene(1, "coco").panoptic
    found = derived.label_map(written, labels.load("coco_panoptic"))
    assert (found.class_index[written.segment_id == 6] == labels.load("coco_panoptic").index_named("person")).all()
    assert (found.class_index[written.segment_id == 0] == IGNORE).all()


@pytest.mark.parity
def test_pycocotools_reads_our_instances_with_the_same_masks(root: Path) -> None:
    from pycocotools.coco import COCO

    official = COCO(str(root / "coco/annotations/instances_val2017.json"))
    samples = _open("coco_instance_val2017", root)
    for index, sample_id in enumerate(samples.ids):
        ours = _objects(samples, index)
        theirs = official.loadAnns(official.getAnnIds(imgIds=[int(sample_id)]))
        assert ours.masks is not None and [one["id"] for one in theirs] == ours.object_id.tolist()
        for one, rle in zip(theirs, ours.masks, strict=True):
            assert np.array_equal(official.annToMask(one).astype(bool), masks.decode(rle))


@pytest.mark.parity
def test_official_converter_makes_our_panoptic_files_of_our_instance_ids(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    converter = pytest.importorskip("cityscapesscripts.preparation.createPanopticImgs")
    converter.convert2panoptic(str(root / "cityscapes/gtFine"), str(tmp_path), False, ["val"])
    ours = json.loads((root / "cityscapes/gtFine/cityscapes_panoptic_val.json").read_text(encoding="utf-8"))
    theirs = json.loads((tmp_path / "cityscapes_panoptic_val.json").read_text(encoding="utf-8"))
    key = "image_id"
    assert _by(theirs["annotations"], key) == _by(ours["annotations"], key)
    assert _by(theirs["images"], "id") == _by(ours["images"], "id")
    for name in (annotation["file_name"] for annotation in ours["annotations"]):
        first, second = (folder / "cityscapes_panoptic_val" / name for folder in (tmp_path, root / "cityscapes/gtFine"))
        assert np.array_equal(read_rgb(first), read_rgb(second))


def _by(records: list[dict[str, object]], key: str) -> dict[object, dict[str, object]]:
    for record in records:
        segments = record.get("segments_info")
        if isinstance(segments, list):
            segments.sort(key=lambda segment: segment["id"])
    return {record[key]: record for record in records}


@pytest.mark.parity
def test_official_converter_makes_our_train_ids_of_our_label_ids(root: Path) -> None:
    official = pytest.importorskip("cityscapesscripts.helpers.labels").id2label
    folder = root / "cityscapes/gtFine/val/minitown"
    for path in sorted(folder.glob("*_labelIds.png")):
        train_ids = read_numbers(path.with_name(path.name.replace("labelIds", "labelTrainIds")))
        expected = np.vectorize(lambda one: official[one].trainId)(read_numbers(path))
        assert np.array_equal(train_ids, expected)
