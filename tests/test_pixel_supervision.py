"""Dense supervision and reduced precision of the mini model: which pixels count, for how much, and in what type."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmark.contract import Task
from models.attention import Attention
from models.pixel_decoder import PixelFeatures
from models.pixel_supervision import UNLABELLED, PixelSupervision, centres, pixel_labels
from models.precision import Bfloat16Convolution
from models.targets import Target


def target(masks: Tensor, *labels: int) -> Target:
    texts = torch.zeros(1, 4, dtype=torch.int64)
    return Target(labels=torch.tensor(labels, dtype=torch.int64), masks=masks, task=Task.PANOPTIC, text_ids=texts)


def halves(size: int = 8) -> Tensor:
    """Left and right quarter of an image, bool [2, size, size]; the middle is nobody's."""
    masks = torch.zeros(2, size, size, dtype=torch.bool)
    masks[0, :, : size // 4] = True
    masks[1, :, -size // 4 :] = True
    return masks


def test_pixels_get_the_class_of_the_target_that_covers_them() -> None:
    labels = pixel_labels(target(halves(), 3, 1))
    assert labels[0].tolist() == [3, 3, *[UNLABELLED] * 4, 1, 1]
    assert (labels == labels[0]).all()
    assert (pixel_labels(target(torch.zeros(0, 4, 4, dtype=torch.bool))) == UNLABELLED).all()


def test_centres_are_the_middles_of_equal_parts() -> None:
    assert centres(8, 4, torch.device("cpu")).tolist() == [1, 3, 5, 7]
    assert centres(12, 3, torch.device("cpu")).tolist() == [2, 6, 10]


def test_loss_is_the_weighted_cross_entropy_of_the_labelled_pixels() -> None:
    torch.manual_seed(0)
    head = PixelSupervision(4, mask_dim=4, num_classes=5, num_levels=1, weight=2.0, thing_weight=3.0)
    features = PixelFeatures(scales=(torch.randn(1, 4, 2, 2),), mask_features=torch.randn(1, 4, 4, 4))
    found = head(features, [target(halves(), 3, 1)], [False, True, False, False, False])["loss_pixel"]
    losses = []
    for linear, level in zip(head.heads, (features.mask_features, *features.scales), strict=True):
        rows = linear(level[0].permute(1, 2, 0)).log_softmax(-1).detach()
        # Of four columns the outer two are labelled; the centres of two columns, 2 and 6, lie in the middle and right.
        sides = [(0, 3, 1.0), (3, 1, 3.0)] if level.shape[-1] == 4 else [(1, 1, 3.0)]
        total = sum(-weight * float(rows[:, column, label].sum()) for column, label, weight in sides)
        losses.append(total / sum(weight * level.shape[-1] for _, _, weight in sides))
    assert float(found.detach()) == pytest.approx(2.0 * sum(losses) / 2, rel=1e-5)


def test_a_batch_without_labelled_pixels_costs_nothing() -> None:
    head = PixelSupervision(4, mask_dim=4, num_classes=5, num_levels=1, weight=2.0, thing_weight=3.0)
    features = PixelFeatures(
        scales=(torch.randn(1, 4, 2, 2, requires_grad=True),), mask_features=torch.randn(1, 4, 4, 4)
    )
    loss = head(features, [target(torch.zeros(0, 8, 8, dtype=torch.bool))], [False] * 5)["loss_pixel"]
    loss.backward()
    assert loss.item() == 0


def test_bfloat16_convolution_is_close_and_gives_float32_under_any_context() -> None:
    torch.manual_seed(0)
    plain, reduced = nn.Conv2d(8, 8, 3, padding=1), Bfloat16Convolution(8, 8, 3, padding=1)
    reduced.load_state_dict(plain.state_dict())
    x = torch.randn(2, 8, 6, 6)
    with torch.autocast("cpu", enabled=False):
        found = reduced(x)
    assert found.dtype == torch.float32
    assert torch.allclose(found, plain(x), atol=0.05)


def test_values_that_images_share_give_what_expanded_ones_give() -> None:
    torch.manual_seed(0)
    attention = Attention(8, num_heads=2)
    query, key, value = torch.randn(3, 5, 8), torch.randn(3, 7, 8), torch.randn(1, 7, 8)
    assert torch.allclose(attention(query, key, value), attention(query, key, value.expand(3, -1, -1)), atol=1e-6)
