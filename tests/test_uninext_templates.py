"""The visual half of UNINEXT's prompts: crops, priors and tokens of reference annotations equal the authors'."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from uninext_oracle import TEMPLATE_CASES, TOLERANCE, Oracle, fill

from benchmark.problems import UsageError
from models.backbones import ResNet
from models.feature_levels import LevelProjection, aligned_upsample
from models.prompt_tokens import PromptTokens, joined
from models.task_segmentation import PIXEL_MEAN, PIXEL_STD
from models.visual_prompt import Template, TemplateCrop, TemplateEncoder

PREFIXES = ("template", "second_template")


@pytest.fixture(scope="module")
def oracle_dir(samples_dir: Path) -> Path:
    return samples_dir / "oracles" / "uninext"


@pytest.fixture(scope="module")
def projection(oracle_dir: Path) -> LevelProjection:
    built = LevelProjection((512, 1024, 2048))
    fill(built, "level_projection")
    return built


@pytest.fixture(scope="module")
def encoder(oracle_dir: Path) -> TemplateEncoder:
    built = TemplateEncoder(ResNet(in_channels=4))
    fill(built, "template_encoder")
    return built


def templates(oracle: Oracle) -> list[Template]:
    """Our templates of a case."""
    pixels = torch.from_numpy(oracle.array("template_image")).float()
    frame = (pixels - torch.tensor(PIXEL_MEAN)[:, None, None]) / torch.tensor(PIXEL_STD)[:, None, None]
    mask = None
    if "template_object_mask" in oracle:
        mask = torch.from_numpy(oracle.bits("template_object_mask", tuple(frame.shape[-2:])))
    found = []
    for given in oracle.case["templates"]:
        x1, y1, x2, y2 = given["box_xyxy_pixels"]
        found.append(TemplateCrop()(frame, (x1, y1, x2 - x1, y2 - y1), mask=mask))
    return found


@pytest.mark.parametrize("case", TEMPLATE_CASES)
def test_crops_and_priors_equal_the_authors(oracle_dir: Path, case: str) -> None:
    oracle = Oracle(oracle_dir, case)
    for prefix, template in zip(PREFIXES, templates(oracle)):
        assert oracle.difference(f"{prefix}_input", template.image) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("case", TEMPLATE_CASES)
def test_template_tokens_equal_the_authors(
    oracle_dir: Path, encoder: TemplateEncoder, projection: LevelProjection, case: str
) -> None:
    oracle = Oracle(oracle_dir, case)
    prompts = []
    for prefix, template in zip(PREFIXES, templates(oracle)):
        maps = encoder.backbone(template.image[None])
        levels = projection(maps)
        fused = encoder.fuse(levels)
        prompt = encoder(template.image[None], template.valid[None], level_projection=projection)
        prompts.append(prompt)
        ours: dict[str, Tensor] = {f"backbone_res{n}": x for n, x in zip((2, 3, 4, 5), maps)}
        ours |= {f"projected_p{n}": x for n, x in zip((3, 4, 5, 6), levels)}
        ours |= {"fused_map": fused, "tokens": prompt.tokens}
        for name, tensor in ours.items():
            if f"{prefix}_{name}" in oracle:
                assert oracle.difference(f"{prefix}_{name}", tensor[0]) < TOLERANCE, name
        assert (prompt.valid[0].numpy() == oracle.array(f"{prefix}_mask")).all()
    whole = joined(prompts)
    assert oracle.difference("prompt_tokens", whole.tokens[0]) < TOLERANCE
    assert oracle.difference("prompt_mask", whole.valid[0].long()) == 0


def test_a_square_at_the_border_loses_a_column_only_if_asked() -> None:
    frame = torch.ones(3, 8, 8)
    lossy, whole = (TemplateCrop(size=8, is_border_lost=lost)(frame, (4, 2, 4, 4)) for lost in (True, False))
    # The square is columns 2 to 9: six of the frame and two outside.
    assert whole.image[0, 4].tolist() == [1, 1, 1, 1, 1, 1, 0, 0]
    assert lossy.image[0, 4].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    assert (whole.valid == (whole.image[0] == 1)).all()


@pytest.mark.parametrize("box", [(2.0, 2.0, 0.0, 4.0), (20.0, 2.0, 4.0, 4.0), (-9.0, 2.0, 2.0, 2.0)])
def test_a_box_without_pixels_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(UsageError, match="cannot be cut from a frame of 8 x 8 pixels"):
        TemplateCrop(size=8)(torch.ones(3, 8, 8), box)


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_aligned_upsampling_keeps_the_given_pixels(factor: int) -> None:
    maps = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    fine = aligned_upsample(maps, factor)
    assert fine.shape == (1, 2, 3 * factor, 4 * factor)
    torch.testing.assert_close(fine[..., factor // 2 :: factor, factor // 2 :: factor], maps)


def test_prompts_of_different_kinds_are_not_joined() -> None:
    words = PromptTokens(tokens=torch.zeros(1, 2, 3), valid=torch.ones(1, 2, dtype=torch.bool), kind="expression")
    shown = PromptTokens(tokens=torch.zeros(1, 2, 3), valid=torch.ones(1, 2, dtype=torch.bool), kind="template")
    with pytest.raises(ValueError, match="different kinds"):
        joined([words, shown])


def test_levels_beyond_the_backbone_come_from_its_last_map() -> None:
    maps = [torch.randn(1, c, s, s) for c, s in ((4, 16), (8, 8), (16, 4), (32, 2))]
    levels = LevelProjection((8, 16, 32), dim=32, num_levels=5, num_groups=4)(maps)
    assert [tuple(level.shape) for level in levels] == [(1, 32, s, s) for s in (8, 4, 2, 1, 1)]
    assert isinstance(LevelProjection((8,), dim=32, num_levels=1).levels[0], nn.Sequential)
