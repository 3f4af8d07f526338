"""UNINEXT's published layouts: names, shapes and counts of every backbone, strict loading, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from uninext_model import build, canonical, oracle_model

from benchmark.problems import DataError
from models.backbones import ResNet
from models.checkpoints import convert, load_weights, to_uninext
from models.convnext import ConvNeXt
from models.discovery import ObjectDiscovery
from models.vit import ViT

R50, CONVNEXT_L, VIT_H = (512, 1024, 2048), (384, 768, 1536), (640, 1280, 1280)
EVERY = {
    "text_encoder.body.model.": (197, 108_891_648),
    "detr.detr.transformer.level_embed": (1, 1_024),
    "detr.detr.transformer.encoder.": (114, 13_996_800),
    "detr.detr.transformer.decoder.": (210, 11_586_601),
    "detr.detr.transformer.tgt_embed": (1, 230_400),
    "detr.detr.transformer.enc_output": (4, 66_304),
    "detr.detr.transformer.resizer": (4, 197_376),
    "detr.detr.class_embed.": (32, 1_186_061),
    "detr.detr.bbox_embed.": (42, 928_284),
    "detr.detr.iou_head.": (12, 1_542),
    "detr.controller.": (6, 175_017),
    "detr.mask_head.": (10, 1_922_376),
    "detr.resizer.": (4, 197_376),
    "criterion._iter": (1, 1),
}
VIDEO = {
    "detr.reid_embed_head.": (54, 3_486_208),
    "detr.adjust_layer.": (2, 197_376),
    "detr.sot_fuser.": (8, 2_360_320),
}
# Tensors and elements by prefix as the authors' module tree has them, then the whole file's.
COUNTS = {
    "r50 video": EVERY
    | VIDEO
    | {
        "detr.detr.input_proj.": (16, 5_639_168),
        "detr.detr.backbone.0.backbone.": (265, 23_561_152),
        "detr.detr.ref_backbone.0.backbone.": (265, 23_564_288),
        "": (1248, 198_189_322),
    },
    "r50 image": EVERY
    | {
        "detr.detr.input_proj.": (16, 5_639_168),
        "detr.detr.backbone.0.backbone.": (265, 23_561_152),
        "": (919, 168_581_130),
    },
    "convnext_l video": EVERY
    | VIDEO
    | {
        "detr.detr.input_proj.": (16, 4_230_144),
        "detr.detr.backbone.0.backbone.": (346, 196_232_640),
        "detr.detr.ref_backbone.0.backbone.": (346, 196_235_712),
        "": (1410, 542_123_210),
    },
    "vit_h image": EVERY
    | {
        "detr.detr.input_proj.": (16, 3_771_392),
        "detr.detr.backbone.0.backbone.": (453, 634_714_240),
        "": (1107, 777_866_442),
    },
}
MAKERS: dict[str, Callable[[], ObjectDiscovery]] = {
    "r50 video": lambda: build(ResNet(), channels=R50, template_backbone=ResNet(in_channels=4)),
    "r50 image": lambda: build(ResNet(), channels=R50),
    "convnext_l video": lambda: build(
        ConvNeXt(norm_finest=False, drop_path=0.7),
        channels=CONVNEXT_L,
        template_backbone=ConvNeXt(norm_finest=False, in_channels=4),
    ),
    "vit_h image": lambda: build(ViT(), channels=VIT_H),
}
# A few names with their shapes, one of every kind that is stored in a form of its own.
SHAPES = {
    "convnext_l video": {
        "downsample_layers.0.0.weight": (192, 3, 4, 4),
        "downsample_layers.0.1.weight.weight": (1, 192),
        "downsample_layers.1.0.bias.weight": (1, 192),
        "downsample_layers.1.1.weight": (384, 192, 2, 2),
        "stages.2.26.dwconv.weight": (768, 1, 7, 7),
        "stages.0.0.pwconv1.weight": (768, 192),
        "stages.3.2.norm.weight.weight": (1, 1536),
        "stages.1.2.gamma.weight": (1, 384),
        "norm1.weight.weight": (1, 384),
        "norm3.bias.weight": (1, 1536),
    },
    "vit_h image": {
        "pos_embed": (1, 197, 1280),
        "patch_embed.proj.weight": (1280, 3, 16, 16),
        "blocks.0.norm1.weight": (1280,),
        "blocks.31.attn.qkv.weight": (3840, 1280),
        "blocks.31.mlp.fc1.weight": (5120, 1280),
        "blocks.10.attn.rel_pos_h": (27, 80),
        "blocks.2.attn.rel_pos_w": (127, 80),
        "blocks.11.attn.rel_pos_h": (127, 80),
        "fpn1.0.weight": (1280, 640, 2, 2),
        "fpn1.0.bias": (640,),
    },
    "r50 video": {"stem.conv1.weight": (64, 3, 7, 7), "res2.0.shortcut.norm.running_var": (256,)},
    "r50 image": {"res5.2.conv3.weight": (2048, 512, 1, 1)},
}


def small(*, is_video: bool = True) -> ObjectDiscovery:
    """A model with few weights and all kinds of names."""
    torch.manual_seed(0)
    widths = (8, 16, 32, 64)
    template_backbone = ResNet(depth=26, widths=widths, stem_width=8, in_channels=4) if is_video else None
    return build(
        ResNet(depth=26, widths=widths, stem_width=8),
        channels=widths[1:],
        template_backbone=template_backbone,
        num_queries=5,
        text_layers=1,
        vocabulary_size=50,
    )


def random_state() -> dict[str, Tensor]:
    """A checkpoint of `small` in the authors' layout."""
    return {name: tensor.clone() for name, tensor in to_uninext(small().state_dict()).items()}


def on_meta(make: Callable[[], ObjectDiscovery]) -> dict[str, Tensor]:
    """The authors' names and shapes of a model, without memory for its weights."""
    with torch.device("meta"):
        model = make()
    return to_uninext(model.state_dict())


@pytest.mark.parametrize("variant", COUNTS)
def test_every_backbone_has_the_published_names_and_sizes(variant: str) -> None:
    state = on_meta(MAKERS[variant])
    for prefix, (num_tensors, num_elements) in COUNTS[variant].items():
        found = [tensor.numel() for name, tensor in state.items() if name.startswith(prefix)]
        assert (len(found), sum(found)) == (num_tensors, num_elements), prefix
    for name, shape in SHAPES[variant].items():
        assert tuple(state[f"detr.detr.backbone.0.backbone.{name}"].shape) == shape, name


@pytest.mark.parametrize("is_video", [True, False])
def test_names_and_shapes_are_the_authors(samples_dir: Path, is_video: bool) -> None:
    file = samples_dir / "oracles" / "uninext" / f"weights_{'video' if is_video else 'image'}.tsv"
    listed = [line.split("\t")[:2] for line in file.read_text().splitlines()[1:]]
    ours = on_meta(lambda: oracle_model(is_video=is_video))
    shapes = {name: "x".join(map(str, tensor.shape)) for name, tensor in ours.items() if name != "criterion._iter"}
    assert {name: shape for name, shape in shapes.items() if name == canonical(name)} == dict(listed)
    copies = [name for name in shapes if name != canonical(name)]
    assert len(copies) == 74
    assert all(shapes[name] == shapes[canonical(name)] for name in copies)


def test_a_checkpoint_goes_there_and_back() -> None:
    state = random_state()
    model = small()
    loaded, report = convert(state, layout="uninext", model=model)
    assert report.problems("file") == ()
    assert {entry.outcome for entry in report.entries} == {"loaded", "ignored"}
    assert [entry.theirs for entry in report.entries if entry.outcome == "ignored"] == [("criterion._iter",)]
    model.load_state_dict(loaded)
    again = to_uninext(model.state_dict())
    assert set(again) == set(state)
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_the_file_is_recognised_and_its_wrapper_taken_off(tmp_path: Path) -> None:
    state = random_state() | {"text_encoder.body.model.embeddings.position_ids": torch.arange(512)[None]}
    torch.save({"model": state, "iteration": 89_999}, tmp_path / "model_final.pth")
    model = small()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    report = load_weights(model, tmp_path / "model_final.pth")
    assert report.layout == "uninext"
    assert torch.equal(model.fusion.visual_scale, state["detr.detr.transformer.encoder.vl_layers.0.b_attn.gamma_v"])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda state: state.pop("detr.controller.layers.2.bias"), "missing, lacks detr.controller.layers.2.bias"),
        (lambda state: state.update({"detr.extra": torch.zeros(1)}), "unexpected, has no place in the model"),
        (lambda state: state.update({"text_encoder.body.extra": torch.zeros(1)}), "unexpected, has no place"),
        (lambda state: state.update({"detr.adjust_layer.bias": torch.zeros(3)}), "mismatched, the file has [3]"),
        (
            lambda state: state.update({"detr.detr.transformer.decoder.class_embed.0.log_scale": torch.ones(1)}),
            "differs from detr.detr.transformer.decoder.class_embed.0.log_scale",
        ),
    ],
    ids=["missing", "unexpected", "unexpected text", "mismatched", "copies differ"],
)
def test_what_does_not_fit_is_named(
    change: Callable[[dict[str, Tensor]], object], message: str, tmp_path: Path
) -> None:
    state = random_state()
    change(state)
    torch.save({"model": state}, tmp_path / "model.pth")
    with pytest.raises(DataError) as caught:
        load_weights(small(), tmp_path / "model.pth")
    assert len(caught.value.problems) == 1
    assert message in str(caught.value)


def test_an_image_level_file_does_not_load_into_the_video_level_model(tmp_path: Path) -> None:
    torch.save({"model": to_uninext(small(is_video=False).state_dict())}, tmp_path / "model.pth")
    with pytest.raises(DataError, match=r"missing, lacks detr\.adjust_layer\.weight"):
        load_weights(small(), tmp_path / "model.pth")


@torch.no_grad()
def test_vit_gives_three_maps_of_any_padded_size() -> None:
    torch.manual_seed(0)
    encoder = ViT(32, num_layers=3, num_heads=2, windowed_blocks=(0, 1), in_channels=4).eval()
    maps = encoder(torch.randn(1, 4, 96, 320))
    assert [tuple(x.shape) for x in maps] == [(1, 16, 12, 40), (1, 32, 6, 20), (1, 32, 3, 10)]
    assert encoder.channels == (16, 32, 32)
    assert torch.equal(maps[2], torch.nn.functional.max_pool2d(maps[1], 2))


@torch.no_grad()
def test_convnext_without_a_finest_norm_differs_at_stride_4_only() -> None:
    torch.manual_seed(0)
    plain = ConvNeXt(widths=(4, 8, 16, 32), depths=(1, 1, 1, 1), in_channels=4).eval()
    bare = ConvNeXt(widths=(4, 8, 16, 32), depths=(1, 1, 1, 1), in_channels=4, norm_finest=False).eval()
    left_out = bare.load_state_dict(plain.state_dict(), strict=False)
    assert set(left_out.unexpected_keys) == {"norm0.weight", "norm0.bias"} and not left_out.missing_keys
    x = torch.randn(1, 4, 32, 32)
    same = [torch.equal(a, b) for a, b in zip(plain(x), bare(x))]
    assert same == [False, True, True, True]
