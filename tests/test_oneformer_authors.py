"""Ours against frozen results of the authors' modules, where transformers' port is known to differ from them.

Text encoder (causal), text list, contrastive loss and post-processing; `golden/oneformer/README.md` says how they were
made.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from benchmark import masks
from benchmark.contract import Panoptic, Segment, Task
from models.checkpoint_layouts import find_rule
from models.contrastive import QueryTextContrast
from models.matching import Pairs
from models.postprocess import AnswerRules, label_map, select_instances, select_segments, semantic_scores
from models.task_tokens import TextList, label_targets
from models.text_encoders import CausalTextEncoder, TextMapper
from models.tokenizers import ClipTokenizer

GOLDEN = Path(__file__).parent / "golden" / "oneformer"
ANSWERS = json.loads((GOLDEN / "answers.json").read_text())
TEXT_LISTS = json.loads((GOLDEN / "text_lists.json").read_text())
CONTRASTIVE = json.loads((GOLDEN / "contrastive.json").read_text())


def fill_by_authors_names(module: nn.Module, prefix: str) -> None:
    """Every parameter drawn from a generator that its name in the authors' layout seeds."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            found = find_rule("authors", f"{prefix}.{name}")
            assert found is not None, name
            rng = np.random.default_rng(zlib.crc32(found[1][0].encode()))
            values = rng.normal(0, 0.3 if parameter.dim() == 1 else 0.1, tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))


def test_text_queries_are_the_authors() -> None:
    encoder = CausalTextEncoder(128, vocabulary_size=50, length=12, num_layers=2, num_heads=2)
    mapper = TextMapper(encoder, dim=32, num_context=0)
    fill_by_authors_names(mapper, "text_mapper")
    with np.load(GOLDEN / "text_mapper.npz") as expected, torch.no_grad():
        found = mapper(torch.from_numpy(expected["token_ids"])).numpy()
        assert np.abs(found - expected["texts"]).max() < 1e-5 * np.abs(expected["texts"]).max()


@pytest.mark.parametrize("row", CONTRASTIVE, ids=lambda row: f"seed {row['seed']}")
def test_contrastive_loss_and_gradients_are_the_authors(row: Mapping[str, float]) -> None:
    rng = np.random.default_rng(int(row["seed"]))
    queries, texts = (torch.from_numpy(rng.normal(size=(3, 5, 8)).astype(np.float32)) for _ in range(2))
    loss = QueryTextContrast(weight=1.0)
    with torch.no_grad():
        loss.logit_scale.fill_(row["logit_scale"])
    none = torch.zeros(0, dtype=torch.int64)
    value = loss(queries.requires_grad_(), texts, none, Pairs(image=none, query=none, target=none))["loss_contrastive"]
    value.backward()
    assert value.item() == pytest.approx(row["loss"], rel=1e-5)
    assert loss.logit_scale.grad.item() == pytest.approx(row["scale_grad"], rel=1e-4, abs=1e-6)
    assert np.allclose(queries.grad.numpy(), row["query_grad"], atol=1e-5 * np.abs(row["query_grad"]).max())


@pytest.mark.parametrize("task", [Task.SEMANTIC, Task.INSTANCE, Task.PANOPTIC])
@pytest.mark.parametrize("number", range(len(TEXT_LISTS)))
def test_targets_and_texts_are_the_authors(number: int, task: Task) -> None:
    case = TEXT_LISTS[number]
    names = case["class_names"]
    segments = tuple(
        Segment(id=row["id"], class_index=row["category_id"], is_crowd=bool(row["iscrowd"])) for row in case["segments"]
    )
    panoptic = Panoptic(segment_id=np.array(case["segment_id"], np.int32), segments=segments)
    found = label_targets(panoptic, is_thing=[index in case["things"] for index in range(len(names))], task=task)
    expected = case["answers"][task.value]
    assert found.labels.tolist() == expected["labels"]
    assert [np.packbits(mask).tolist() for mask in found.masks] == expected["masks"]
    text_list = TextList(tokenizer=ClipTokenizer(), num_texts=case["num_texts"])
    assert text_list.texts(found.counts, names, task) == expected["texts"]


def make_logits(case: Mapping[str, float]) -> tuple[torch.Tensor, torch.Tensor]:
    num_queries, num_classes = int(case["num_queries"]), int(case["num_classes"])
    rng = np.random.default_rng(int(case["seed"]))
    classes = case["class_scale"] * rng.normal(size=(num_queries, num_classes + 1))
    y, x = np.mgrid[:24, :32]
    place = rng.uniform((0, 0, 3), (24, 32, 9), (num_queries, 3))[:, :, None, None]
    distance = np.hypot(y - place[:, 0], x - place[:, 1]) / place[:, 2]
    logits = 6 - 6 * distance + 0.5 * rng.normal(size=distance.shape)
    return torch.from_numpy(classes.astype(np.float32)), torch.from_numpy(logits.astype(np.float32))


@pytest.fixture(params=ANSWERS, ids=lambda case: case["case"])
def case(request: pytest.FixtureRequest) -> Mapping[str, object]:
    return request.param


def expected_of(case: Mapping[str, object]) -> dict[str, NDArray[np.generic]]:
    with np.load(GOLDEN / "answers.npz") as arrays:
        return {name.split(".")[1]: arrays[name] for name in arrays.files if name.split(".")[0] == case["case"]}


def rules_of(case: Mapping[str, object]) -> tuple[list[bool], AnswerRules]:
    is_thing = [index in case["things"] for index in range(case["num_classes"])]
    return is_thing, AnswerRules(
        object_mask_threshold=case["object_mask_threshold"],
        overlap_threshold=case["overlap_threshold"],
        top_k=case["top_k"],
    )


def test_semantic_answer_is_the_authors(case: Mapping[str, object]) -> None:
    expected, scores = expected_of(case), semantic_scores(*make_logits(case))
    assert np.allclose(scores.sum((1, 2)).numpy(), expected["semantic_sum"], rtol=1e-5)
    assert (label_map(scores).class_index == expected["semantic"]).all()


def test_panoptic_answer_is_the_authors(case: Mapping[str, object]) -> None:
    expected, (is_thing, rules) = expected_of(case), rules_of(case)
    found = select_segments(*make_logits(case), is_thing=is_thing, rules=rules)
    assert (found.segment_id == expected["panoptic"]).all()
    listed = [[segment.id, is_thing[segment.class_index], segment.class_index] for segment in found.segments]
    assert listed == expected["segments"].tolist()


def test_instance_answer_is_the_authors(case: Mapping[str, object]) -> None:
    expected, (is_thing, rules) = expected_of(case), rules_of(case)
    found = select_instances(*make_logits(case), is_thing=is_thing, rules=rules)
    assert found.class_index.tolist() == expected["instance_class"].tolist()
    assert np.allclose(found.score, expected["instance_score"], rtol=1e-5)
    assert found.masks is not None
    packed = np.packbits(np.array([masks.decode(rle) for rle in found.masks], bool))
    assert (packed == expected["instance_masks"]).all()
