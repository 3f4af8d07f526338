"""The published table is whole, consistent, and equal to the collection it was taken from."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from reports.published import PublishedNumber, headline, load, lookup, merge_sources

COLLECTION = Path(__file__).resolve().parents[2] / "shared" / "reference" / "published" / "oneformer.yaml"
DATASETS = {"COCO": "coco", "ADE20K": "ade20k", "Cityscapes": "cityscapes", "Mapillary Vistas": "mapillary"}
METRICS = {
    "mIoU_ss": "mIoU",
    "mIoU_ms": "mIoU",
    "AP_instance": "AP",
    "AP_s": "APs",
    "AP_m": "APm",
    "AP_l": "APl",
    "params_M": "params",
    "flops_G": "flops",
}
NUMBERS = load()


def test_published_numbers_are_complete_rows_in_plausible_ranges() -> None:
    assert len(NUMBERS) == 291
    for number in NUMBERS:
        assert re.fullmatch(
            r"(coco|ade20k|cityscapes|mapillary)_(panoptic|instance|semantic)_(val2017|val)", number.benchmark
        )
        assert number.benchmark.endswith(f"_{number.split}")
        assert number.source
        assert number.unit in ("fraction", "M", "G", "count")
        if number.unit == "fraction":
            assert 0.01 < number.value < 0.9
            assert number.protocol
        else:
            assert number.value >= 100


def test_no_number_is_listed_twice_for_one_source() -> None:
    keys = Counter((n.variant, n.setting, n.benchmark, n.metric, n.protocol, n.source) for n in NUMBERS)
    assert [key for key, count in keys.items() if count > 1] == []


def test_published_numbers_equal_the_collection() -> None:
    if not COLLECTION.is_file():
        pytest.skip("the collection of published numbers is not on this machine")
    yaml = pytest.importorskip("yaml")
    collection = yaml.safe_load(COLLECTION.read_text(encoding="utf-8"))
    rows = [row for row in collection["rows"] if row["method"] == "OneFormer"]
    assert len(rows) == len(NUMBERS)
    for row, number in zip(rows, NUMBERS, strict=True):
        assert number.benchmark.split("_")[0] == DATASETS[row["benchmark"]], row
        assert row["task"] in (number.benchmark.split("_")[1], "all"), row
        assert number.split == row["split"], row
        assert number.metric == METRICS.get(row["metric"], row["metric"]), row
        assert number.variant.startswith(row["backbone"].lower().replace("-", "_") + "_"), row
        scale = Decimal(100) if number.unit == "fraction" else Decimal(1)
        assert Decimal(repr(number.value)) * scale == Decimal(str(row["value"])), row
        assert source_key(number) == row["source"], row
        assert_details(row, number)


def source_key(number: PublishedNumber) -> str:
    """The collection's own name of a source."""
    repository, _, place = number.source.partition(" ")
    if number.source.startswith("OneFormer (CVPR 2023) table "):
        return f"paper_table_{number.source[-1]}"
    match place.split():
        case ["README", *_]:
            return "authors_readme"
        case ["issue", issue]:
            return f"github_issue_{repository}#{issue}"
        case ["pull", "request", issue]:
            return f"github_pr_{repository}#{issue}"
    return "paperswithcode_mirror"


def assert_details(row: dict[str, Any], number: PublishedNumber) -> None:
    """Protocol, variant and note say what the collection says."""
    if row["metric"] in ("mIoU_ss", "mIoU_ms"):
        assert number.protocol == {"ss": "single scale", "ms": "multi-scale and flip"}[row["metric"][-2:]], row
    if row["metric"] == "AP_instance":
        assert number.protocol == "truth: instances_val2017"
    if "pretrained" in row.get("variant", ""):
        origin = row["variant"].removesuffix("-pretrained")
        assert number.variant.endswith(f"_{origin.lower()}")
        assert f"pre-trained on {origin}" in number.note
    assert bool(number.setting) == ("variant" in row and "pretrained" not in row["variant"]), row
    if "crop" in row and row["benchmark"] == "ADE20K" and not row["backbone"].startswith("ConvNeXt"):
        assert f"ade20k_{row['crop']}" in number.variant
    assert row.get("note", "") in number.note


def test_disagreeing_sources_are_noted() -> None:
    noted = {(n.variant, n.metric) for n in NUMBERS if "sources disagree" in n.note}
    assert noted == {("swin_l_ade20k_640", "PQ"), ("dinat_l_ade20k_1280", "mIoU"), ("swin_l_coco", "AP")}


@pytest.mark.parametrize(
    ("benchmark", "metric", "value", "variant"),
    [
        ("coco_panoptic_val2017", "PQ", 0.580, "dinat_l_coco"),
        ("coco_instance_val2017", "AP", 0.492, "dinat_l_coco"),
        ("coco_semantic_val2017", "mIoU", 0.681, "dinat_l_coco"),
        ("ade20k_panoptic_val", "PQ", 0.534, "dinat_l_ade20k_1280_coco"),
        ("cityscapes_panoptic_val", "PQ", 0.701, "convnext_l_cityscapes_mapillary"),
    ],
)
def test_headline_is_the_best_released_model(benchmark: str, metric: str, value: float, variant: str) -> None:
    number = headline(NUMBERS, benchmark, "oneformer", metric)
    assert number is not None
    assert (number.value, number.variant) == (value, variant)


def test_headline_prefers_the_runs_own_variant() -> None:
    number = headline(NUMBERS, "coco_panoptic_val2017", "oneformer", "PQ", variant="swin_l_coco")
    assert number is not None
    assert (number.value, number.variant) == (0.579, "swin_l_coco")


def test_headline_of_an_unprinted_metric_is_absent() -> None:
    assert headline(NUMBERS, "coco_panoptic_val2017", "oneformer", "AR100") is None
    assert headline(NUMBERS, "coco_panoptic_val2017", "nobody", "PQ") is None


def test_coco_instance_headline_uses_the_rows_own_truth() -> None:
    number = headline([n for n in NUMBERS if n.variant == "swin_l_coco"], "coco_instance_val2017", "oneformer", "AP")
    assert number is not None
    assert number.value == 0.489


def test_merged_numbers_keep_every_source() -> None:
    found = lookup(NUMBERS, "coco_panoptic_val2017", variant="swin_l_coco", metric="PQ")
    assert len(found) == 2
    (merged,) = merge_sources(found)
    assert merged.value == 0.579
    assert all(number.source in merged.source for number in found)
