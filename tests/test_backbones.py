"""Image encoders: equal to transformers' on equal weights, attention equal to plain window loops, published sizes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import encoder_pairs
import pytest
import torch
from encoder_pairs import MakePair, difference
from plain_neighbourhoods import plain_mix, plain_scores, plain_window, stand_in
from torch import nn
from transformers import AutoBackbone

from models.backbones import DropPath, ResNet, drop_path_rates
from models.checkpoint_layouts import detect, find_rule
from models.convnext import ConvNeXt
from models.dinat import DiNAT, NeighbourhoodAttention, attend_to_neighbours, plan_axis
from models.swin import Swin

pytestmark = pytest.mark.usefixtures("one_seed_and_thread")

PREFIX = "model.pixel_level_module.encoder."
DILATIONS = {
    "640": ((1, 20, 1), (1, 5, 1, 10), (1, 2, 1, 3, 1, 4, 1, 5, 1, 2, 1, 3, 1, 4, 1, 5, 1, 5), (1, 2, 1, 2, 1)),
    "cityscapes": ((1, 18, 1), (1, 5, 1, 9), (1, 2, 1, 3, 1, 4, 1, 2, 1, 3, 1, 4, 1, 2, 1, 3, 1, 4), (1, 2, 1, 2, 1)),
}


def randomise(model: nn.Module) -> None:
    """Weights that hide nothing: no zero biases, unit scales or equal statistics, and outputs of order one."""
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif name.endswith("layer_scale_parameter"):
            tensor.uniform_(-0.3, 0.3)
        elif tensor.is_floating_point() and tensor.ndim < 2:
            tensor.add_(torch.randn(tensor.shape), alpha=0.2)
        elif "bias_table" in name or name.endswith("rpb"):
            tensor.normal_()


def give_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Copies the weights of a transformers encoder into ours; every parameter must find its place."""
    state = {PREFIX + name: tensor for name, tensor in theirs.state_dict().items()}
    layout = detect(state)
    given = {}
    for name in ours.state_dict():
        if not name.endswith("relative_position_index"):
            rule, sources = find_rule(layout, f"backbone.{name}")
            given[name] = rule.join([state[source] for source in sources])
    missing, unexpected = ours.load_state_dict(given, strict=False)
    assert not unexpected and all(name.endswith("relative_position_index") for name in missing)


WINDOWED = {"width": 24, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 3, 4)}
PAIRS: dict[str, MakePair] = {
    "resnet_50": encoder_pairs.resnet,
    "resnet_18": partial(encoder_pairs.resnet, 18, widths=(16, 24, 32, 40), stem_width=16, norm="bn"),
    "swin": partial(encoder_pairs.swin, **WINDOWED, window_size=7),
    "swin_of_wide_windows": partial(encoder_pairs.swin, **WINDOWED, window_size=12),
    "convnext": partial(encoder_pairs.convnext, widths=(24, 32, 48, 64), depths=(2, 2, 3, 2)),
    "dinat": partial(encoder_pairs.dinat, dilations=((1, 5), (1, 2, 1), (1, 3), (2, 1))),
}


def compare(make: MakePair, size: tuple[int, int]) -> None:
    """Both encoders on the same weights and image, evaluation mode, float32."""
    config, ours = make()
    theirs = AutoBackbone.from_config(config)
    randomise(theirs)
    give_weights(ours, theirs)
    image = torch.randn(1, 3, *size)
    with torch.no_grad():
        maps, expected = ours.eval()(image), theirs.eval()(image).feature_maps
    assert tuple(one.shape[1] for one in maps) == ours.channels
    for stride, one, other in zip((4, 8, 16, 32), maps, expected, strict=True):
        assert one.shape[-2:] == (size[0] // stride, size[1] // stride)
        assert difference(one, other) < 1e-5


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet_50", (96, 160)),
        ("resnet_18", (160, 96)),
        ("swin", (640, 640)),
        ("swin", (320, 416)),
        ("swin", (224, 352)),
        ("swin_of_wide_windows", (224, 352)),
        ("convnext", (320, 416)),
    ],
)
def test_maps_equal_those_of_transformers(name: str, size: tuple[int, int]) -> None:
    compare(PAIRS[name], size)


@pytest.mark.parity
@pytest.mark.parametrize("size", [(96, 160), (64, 64)])
def test_dinat_maps_equal_those_of_transformers_over_plain_loops(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch)
    compare(PAIRS["dinat"], size)


@pytest.mark.parametrize(
    ("height", "width", "kernel", "dilation"),
    [(7, 7, 7, 1), (9, 13, 3, 1), (25, 17, 3, 5), (23, 22, 7, 3), (12, 30, 11, 1), (22, 23, 11, 2), (40, 21, 5, 4)],
)
def test_neighbourhood_attention_equals_window_loops(height: int, width: int, kernel: int, dilation: int) -> None:
    query, key, value = torch.randn(3, 2, 2, height, width, 8, dtype=torch.float64)
    bias = torch.randn(2, 2 * kernel - 1, 2 * kernel - 1, dtype=torch.float64)
    weights = plain_scores(query / 8**0.5, key, bias, kernel, dilation).softmax(-1)
    expected = plain_mix(weights, value, kernel, dilation)
    mixed = attend_to_neighbours(query, key, value, bias=bias, dilation=dilation)
    torch.testing.assert_close(mixed, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("length", "kernel", "dilation"), [(160, 11, 1), (220, 11, 20), (157, 7, 18), (11, 11, 1)])
def test_every_pixel_sees_its_window_once(length: int, kernel: int, dilation: int) -> None:
    plan = plan_axis(length, kernel=kernel, dilation=dilation)
    assert torch.equal(plan.queries.flatten()[plan.place], torch.arange(length))
    for tile, queries in enumerate(plan.queries.tolist()):
        for i, query in enumerate(queries):
            seen = plan.keys[tile][plan.is_near[tile, i]].tolist()
            assert seen == plain_window(length, query, kernel, dilation)


def test_a_map_smaller_than_the_window_is_filled_with_zeros_before_the_projection() -> None:
    attention = NeighbourhoodAttention(8, num_heads=2, kernel=5, dilation=3)
    nn.init.normal_(attention.qkv.bias)
    small = torch.randn(1, 6, 20, 8)
    filled = torch.zeros(1, 15, 20, 8)
    filled[:, :6] = small
    torch.testing.assert_close(attention(small), attention(filled)[:, :6])


def test_neighbourhood_attention_learns() -> None:
    attention = NeighbourhoodAttention(8, num_heads=2, kernel=3, dilation=2)
    attention(torch.randn(1, 9, 7, 8)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in attention.parameters())


SIZES = [
    (lambda: ResNet(depth=50), (256, 512, 1024, 2048), 23_454_912),
    (lambda: ResNet(depth=50, norm="bn"), (256, 512, 1024, 2048), 23_508_032),
    (lambda: ConvNeXt(), (192, 384, 768, 1536), 196_233_024),
    (lambda: ConvNeXt(widths=(256, 512, 1024, 2048)), (256, 512, 1024, 2048), 348_151_552),
    (lambda: DiNAT(dilations=DILATIONS["640"]), (192, 384, 768, 1536), 199_609_938),
    (lambda: DiNAT(dilations=DILATIONS["cityscapes"], kernel=7), (192, 384, 768, 1536), 199_409_202),
]


@pytest.mark.parametrize(("make", "channels", "num_parameters"), SIZES)
def test_published_sizes(make: Callable[[], nn.Module], channels: tuple[int, ...], num_parameters: int) -> None:
    with torch.device("meta"):
        model = make()
    assert model.channels == channels
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters


def test_published_sizes_of_swin() -> None:
    model = Swin()
    assert model.channels == (96, 192, 384, 768)
    assert sum(parameter.numel() for parameter in model.parameters()) == 27_520_698


def test_drop_path_grows_linearly_over_all_blocks() -> None:
    rates = drop_path_rates((1, 2, 2), 0.4)
    assert [len(stage) for stage in rates] == [1, 2, 2]
    assert [rate for stage in rates for rate in stage] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    for model in (
        ConvNeXt(widths=(8,) * 4, depths=(1, 2, 1, 1)),
        DiNAT(dilations=((1,), (1, 2), (1,), (1,)), width=48),
    ):
        drops = [module.rate for module in model.modules() if isinstance(module, DropPath)]
        assert drops[0] == 0 and drops == sorted(drops)


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    drop = DropPath(0.25)
    dropped = drop(torch.ones(4000, 2, 3)).flatten(1)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert dropped.mean() == pytest.approx(1, abs=0.05)
    assert torch.equal(drop.eval()(torch.ones(4, 2)), torch.ones(4, 2))


def test_frozen_norm_has_no_parameters_and_never_moves() -> None:
    model = ResNet(depth=18, widths=(8, 8, 8, 8), stem_width=8, norm="frozen_bn").train()
    before = {name: tensor.clone() for name, tensor in model.named_buffers()}
    model(torch.randn(2, 3, 64, 64))[3].sum().backward()
    assert before and all(torch.equal(before[name], tensor) for name, tensor in model.named_buffers())
    assert not any("norm" in name for name, _ in model.named_parameters())


def test_an_unknown_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="depth 49"):
        ResNet(depth=49)
