"""The miniatures of referring and grounding data sets hold the scenes' very masks, and what is difficult about each."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmark import catalog, masks
from benchmark.annotated import AnnotatedImage
from benchmark.contract import Instances, Sample
from benchmark.formats import flickr30k
from benchmark.formats.plain_pickle import read_pickle
from benchmark.minidata import miniatures
from benchmark.minidata.pools import Pools

POOLS = Pools(num_images={"train": 6, "val": 24})
DATASETS = ("refcoco", "refcoco+", "refcocog", "refcocog_google", "grefcoco", "reasonseg", "phrasecut", "flickr30k")
ROWS = {**catalog.BENCHMARKS, **catalog.TRAINING}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data root with all of them, as a person has it."""
    folder = tmp_path_factory.mktemp("referring")
    miniatures.write(folder, [row for row in ROWS.values() if row.dataset in DATASETS], POOLS)
    (folder / catalog.MINI_STAMP).write_text("{}", encoding="utf-8")
    return folder


def _samples(name: str, root: Path) -> list[Sample]:
    return list(catalog.open_samples(ROWS[name], root, is_mini=True))


def _objects(sample: Sample) -> Instances:
    assert sample.truth is not None
    frame = sample.truth.frames[0]
    assert isinstance(frame, Instances)
    return frame


def _scenes(name: str) -> dict[str, list[AnnotatedImage]]:
    """The scenes of a row by sentence."""
    found: dict[str, list[AnnotatedImage]] = {}
    for image in POOLS.images(ROWS[name]):
        for one in image.expressions:
            found.setdefault(one.sentence, []).append(image)
    return found


def _meant(sentence: str, image: AnnotatedImage) -> np.ndarray:  # type: ignore[type-arg]
    """bool [H, W], the pixels of what a sentence means."""
    ids = next(one.segment_ids for one in image.expressions if one.sentence == sentence)
    return np.isin(image.panoptic.segment_id, ids)


WITH_MASKS = [name for name, row in ROWS.items() if row.dataset in DATASETS and row.dataset != "flickr30k"]


@pytest.mark.parametrize("name", WITH_MASKS)
def test_truth_is_what_the_sentence_means_in_one_of_the_scenes(root: Path, name: str) -> None:
    scenes = _scenes(name) | (_scenes("phrasecut_referring_miniv") if name == "phrasecut_referring_val" else {})
    for sample in _samples(name, root):
        mask = masks.decode(masks.union([masks.empty(sample.size), *(_objects(sample).masks or ())]))
        assert sample.prompt.sentence is not None
        images = [*scenes[sample.prompt.sentence], *_scenes(name).get(sample.prompt.sentence, [])]
        assert any((_meant(sample.prompt.sentence, image) == mask).all() for image in images)


def test_boxes_of_phrases_hold_what_they_mean(root: Path) -> None:
    scenes = _scenes("flickr30k_grounding_val")
    for sample in _samples("flickr30k_grounding_val", root):
        corners = _objects(sample).boxes
        hull = [*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0)]
        sentence = sample.prompt.sentence or ""
        boxes = [masks.bounding_box(masks.encode(_meant(sentence, image))) for image in scenes[sentence]]
        assert hull in [[x, y, x + w, y + h] for x, y, w, h in boxes]


def test_references_are_pickled_with_several_sentences_and_all_splits(root: Path) -> None:
    references = read_pickle(root / "refcoco" / "refs(unc).p")
    assert {one["split"] for one in references} == {"train", "val", "testA", "testB"}
    assert max(len(one["sentences"]) for one in references) > 1
    numbers = [sentence["sent_id"] for one in references for sentence in one["sentences"]]
    assert numbers == list(range(len(numbers)))
    instances = json.loads((root / "refcoco" / "instances.json").read_text(encoding="utf-8"))
    assert {one["image_id"] for one in references} <= {image["id"] for image in instances["images"]}
    assert any(one["iscrowd"] for one in instances["annotations"])
    assert len(instances["categories"]) == 80


def test_refcoco_plus_says_nothing_of_places(root: Path) -> None:
    words = {w for s in _samples("refcoco+_referring_val", root) for w in (s.prompt.sentence or "").split()}
    everywhere = {w for s in _samples("refcoco_referring_val", root) for w in (s.prompt.sentence or "").split()}
    assert not words & {"left", "right", "above", "below", "leftmost", "rightmost", "topmost", "bottommost"}
    assert everywhere & {"left", "leftmost"}


def test_grefcoco_has_no_target_one_and_several(root: Path) -> None:
    counts = Counter(min(len(_objects(sample)), 2) for sample in _samples("grefcoco_referring_val", root))
    assert min(counts[0], counts[1], counts[2]) >= 5


def test_both_reference_files_of_refcocog_work_with_one_instances_file(root: Path) -> None:
    google, umd = (_samples(f"{name}_referring_val", root) for name in ("refcocog_google", "refcocog"))
    assert [one.prompt.sentence for one in google] == [one.prompt.sentence for one in umd]
    assert _samples("refcocog_referring_test", root)


def test_reasonseg_asks_long_and_short_and_ignores_crowds(root: Path) -> None:
    samples = [sample for name in WITH_MASKS if name.startswith("reasonseg") for sample in _samples(name, root)]
    subsets = Counter(subset for sample in samples if sample.truth for subset in sample.truth.subsets)
    assert min(subsets["long"], subsets["short"]) >= 10
    assert any(sample.truth is not None and sample.truth.ignore is not None for sample in samples)
    assert any(len(_objects(sample)) == 0 for sample in samples)


def test_phrasecut_val_holds_miniv_and_names_its_subsets(root: Path) -> None:
    val, miniv = (_samples(f"phrasecut_referring_{split}", root) for split in ("val", "miniv"))
    assert {sample.sample_id for sample in miniv} < {sample.sample_id for sample in val}
    subsets = {subset for sample in val if sample.truth for subset in sample.truth.subsets}
    assert {"i_single", "i_multi", "p_name", "p_att+", "p_rel+", "c20", "a20", "d_cocotv", "d_notcocotv"} <= subsets


def test_captions_hold_phrases_without_boxes_groups_and_two_names_for_one_thing(root: Path) -> None:
    folder = root / "flickr30k_entities"
    ids = flickr30k.read_ids(folder / "val.txt")
    captions = {image_id: flickr30k.read_captions(folder / "Sentences" / f"{image_id}.txt") for image_id in ids}
    assert {len(lines) for lines in captions.values()} == {5}
    pictures = {image_id: flickr30k.read_boxes(folder / "Annotations" / f"{image_id}.xml") for image_id in ids}
    texts: dict[str, set[str]] = {}
    for image_id, lines in captions.items():
        for phrase in (phrase for line in lines for phrase in line):
            texts.setdefault(phrase.chain, set()).add(phrase.text)
            assert phrase.types == ("scene",) or phrase.chain == "0" or set(phrase.types) <= {
                "clothing", "vehicles", "other"
            }  # fmt: skip
        said = {phrase.chain for line in lines for phrase in line}
        assert said - set(pictures[image_id].boxes) > {"0"}
    assert any(len(one) > 1 for chain, one in texts.items() if chain != "0")
    assert any(len(boxes) > 1 for picture in pictures.values() for boxes in picture.boxes.values())
