"""From class and mask logits of the queries to the answer of each task, at the image's original size.

Follows SHI-Labs/OneFormer at 4962ef6. Shapes: N queries, K classes, H W the original size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark import masks
from benchmark.contract import Annotation, Instances, LabelMap, Panoptic, Segment, Task, make_instances


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRules:
    """object_mask_threshold: class score a panoptic query must exceed. overlap_threshold: least share of a mask that
    it must win. top_k: instances an image, None: as many as queries."""

    object_mask_threshold: float = 0.8
    overlap_threshold: float = 0.8
    top_k: int | None = None


def to_original_size(
    mask_logits: Tensor, *, padded: tuple[int, int], cropped: tuple[int, int], original: tuple[int, int]
) -> Tensor:
    """Mask logits [N, H, W] of one image: resized to the padded input, padding cropped, resized to the original.

    mask_logits: [N, h, w] of the padded input. Sizes are (height, width).
    """
    full = F.interpolate(mask_logits[None].float(), size=padded, mode="bilinear", align_corners=False)
    full = full[..., : cropped[0], : cropped[1]]
    return F.interpolate(full, size=original, mode="bilinear", align_corners=False)[0]


def answer(
    class_logits: Tensor, mask_logits: Tensor, *, task: Task, is_thing: Sequence[bool], rules: AnswerRules
) -> Annotation:
    """The annotation of one image. class_logits: [N, K + 1]. mask_logits: [N, H, W]."""
    if task is Task.SEMANTIC:
        return label_map(semantic_scores(class_logits, mask_logits))
    if task is Task.INSTANCE:
        return select_instances(class_logits, mask_logits, is_thing=is_thing, rules=rules)
    return select_segments(class_logits, mask_logits, is_thing=is_thing, rules=rules)


def semantic_scores(class_logits: Tensor, mask_logits: Tensor) -> Tensor:
    """Scores [K, H, W]: class probability times mask probability, summed over the queries."""
    return torch.einsum("qk,qhw->khw", class_logits.softmax(-1)[:, :-1], mask_logits.sigmoid())


def label_map(scores: Tensor) -> LabelMap:
    """The class of the highest score at each pixel. scores: [K, H, W]."""
    # `max` names the same class as `argmax`, the first of equals, in half the time.
    return LabelMap(class_index=scores.max(0).indices.to(torch.int32).cpu().numpy().astype(np.uint16))


def select_instances(
    class_logits: Tensor, mask_logits: Tensor, *, is_thing: Sequence[bool], rules: AnswerRules
) -> Instances:
    """The `top_k` (query, class) pairs whose class is a thing; one query may give several instances.

    class_logits: [N, K + 1]. mask_logits: [N, H, W]. score: class probability times the mean mask probability inside
    the mask.
    """
    probability = class_logits.softmax(-1)[:, :-1]
    num_queries, num_classes = probability.shape
    top_k = min(rules.top_k or num_queries, probability.numel())
    class_score, place = probability.flatten().topk(top_k, sorted=False)
    is_kept = torch.tensor(list(is_thing), device=place.device)[place % num_classes]
    class_score, place = class_score[is_kept], place[is_kept]
    query, back = (place // num_classes).unique(return_inverse=True)
    inside = mask_logits[query] > 0
    sums = (mask_logits[query].sigmoid() * inside).flatten(1).sum(1)
    quality = sums / (inside.flatten(1).sum(1) + 1e-6)
    encoded = masks.encode_many(inside.cpu().numpy())
    area = masks.areas(encoded).astype(np.float64)
    order = back.cpu().numpy()
    return make_instances(
        class_index=(place % num_classes).cpu().numpy(),
        masks=[encoded[index] for index in order],
        boxes=masks.bounding_boxes(encoded)[order],
        area=area[order],
        score=(class_score * quality[back]).double().cpu().numpy(),
    )


def select_segments(
    class_logits: Tensor, mask_logits: Tensor, *, is_thing: Sequence[bool], rules: AnswerRules
) -> Panoptic:
    """Segments that do not overlap: each pixel goes to the query with the highest score times mask probability.

    class_logits: [N, K + 1]. mask_logits: [N, H, W]. A query is dropped when it won less than `overlap_threshold` of
    its own mask; what it won outside its mask stays void. Stuff segments of one class share one id.
    """
    score, label = class_logits.softmax(-1).max(-1)
    is_kept = (label != class_logits.shape[-1] - 1) & (score > rules.object_mask_threshold)
    segment_id = torch.zeros(mask_logits.shape[-2:], dtype=torch.int32, device=mask_logits.device)
    if not is_kept.any():
        return Panoptic(segment_id=segment_id.cpu().numpy(), segments=())
    probability = mask_logits[is_kept].sigmoid()
    winner = (score[is_kept][:, None, None] * probability).argmax(0)
    full = probability >= 0.5
    won_area = torch.bincount(winner.flatten(), minlength=len(probability)).tolist()
    full_area = full.flatten(1).sum(1).tolist()
    stuff_id: dict[int, int] = {}
    segments: list[Segment] = []
    for index, (class_index, query_score) in enumerate(zip(label[is_kept].tolist(), score[is_kept].tolist())):
        if not (won_area[index] and full_area[index]):
            continue
        if won_area[index] / full_area[index] < rules.overlap_threshold:
            continue
        region = (winner == index) & full[index]
        if not region.any():
            continue
        new_id = stuff_id.get(class_index, len(segments) + 1)
        segment_id[region] = new_id
        if new_id > len(segments):
            segments.append(Segment(id=new_id, class_index=class_index, score=query_score))
        if not is_thing[class_index]:
            stuff_id[class_index] = new_id
    return Panoptic(segment_id=segment_id.cpu().numpy(), segments=tuple(segments))
