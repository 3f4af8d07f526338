"""Published checkpoints: every key of the authors' and of transformers' layout finds its place, or one clear line."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import transformers.models.dinat.modeling_dinat as port_dinat
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    ConvNextConfig,
    DinatConfig,
    OneFormerConfig,
    OneFormerForUniversalSegmentation,
    PretrainedConfig,
    ResNetConfig,
    SwinConfig,
)

from benchmark.problems import DataError, UsageError
from models import __main__ as command
from models.backbones import ResNet
from models.checkpoint_layouts import detect
from models.checkpoints import Report, convert, load_published, load_weights, to_authors, to_transformers
from models.contrastive import QueryTextContrast
from models.convnext import ConvNeXt
from models.dinat import DiNAT
from models.losses import SetCriterion
from models.pixel_decoder import PixelDecoder
from models.query_decoder import QueryDecoder, QueryInitialiser
from models.swin import Swin
from models.task_tokens import TaskEncoder
from models.text_encoders import CausalTextEncoder, TextMapper
from models.tokenizers import ClipTokenizer
from models.unified import UniversalSegmenter

DIM, FFN, PIXEL_FFN, QUERIES, CLASSES, CONTEXT, VOCABULARY = 64, 48, 40, 6, 5, 3, 50
STAGES = ["stage1", "stage2", "stage3", "stage4"]
DILATIONS = ((1, 2), (1,), (1, 2), (1,))
Shapes = Iterator[tuple[str, tuple[int, ...]]]

pytestmark = pytest.mark.filterwarnings("ignore")


def small_model(backbone: nn.Module, *, is_training: bool = True) -> UniversalSegmenter:
    """OneFormer in small: every kind of parameter, few of each."""
    text = TextMapper(CausalTextEncoder(DIM, vocabulary_size=VOCABULARY, num_layers=2), dim=DIM, num_context=CONTEXT)
    return UniversalSegmenter(
        backbone,
        pixel_decoder=PixelDecoder(backbone.channels, dim=DIM, mask_dim=DIM, num_layers=2, hidden_dim=PIXEL_FFN),
        task_encoder=TaskEncoder(dim=DIM),
        query_decoder=QueryDecoder(
            QueryInitialiser(DIM, mask_dim=DIM, hidden_dim=FFN),
            num_classes=CLASSES,
            num_queries=QUERIES,
            dim=DIM,
            mask_dim=DIM,
            num_layers=3,
            hidden_dim=FFN,
        ),
        tokenizer=ClipTokenizer(),
        class_names=[f"class {i}" for i in range(CLASSES)],
        is_thing=[True] * CLASSES,
        text_mapper=text if is_training else None,
        criterion=SetCriterion(QueryTextContrast()) if is_training else None,
    )


# The authors' key list, written from their modules and not from our table.


def both(name: str, *weight: int) -> Shapes:
    yield f"{name}.weight", weight
    yield f"{name}.bias", weight[:1]


def packed(name: str) -> Shapes:
    yield f"{name}.in_proj_weight", (3 * DIM, DIM)
    yield f"{name}.in_proj_bias", (3 * DIM,)
    yield from both(f"{name}.out_proj", DIM, DIM)


def authors_pixel_decoder(channels: tuple[int, ...]) -> Shapes:
    root = "sem_seg_head.pixel_decoder"
    for i, width in enumerate(reversed(channels[1:])):
        yield from both(f"{root}.input_proj.{i}.0", DIM, width, 1, 1)
        yield from both(f"{root}.input_proj.{i}.1", DIM)
    yield f"{root}.transformer.level_embed", (3, DIM)
    for i in range(2):
        layer = f"{root}.transformer.encoder.layers.{i}"
        yield from both(f"{layer}.self_attn.sampling_offsets", 192, DIM)
        yield from both(f"{layer}.self_attn.attention_weights", 96, DIM)
        yield from both(f"{layer}.self_attn.value_proj", DIM, DIM)
        yield from both(f"{layer}.self_attn.output_proj", DIM, DIM)
        yield from both(f"{layer}.norm1", DIM)
        yield from both(f"{layer}.linear1", PIXEL_FFN, DIM)
        yield from both(f"{layer}.linear2", DIM, PIXEL_FFN)
        yield from both(f"{layer}.norm2", DIM)
    yield f"{root}.adapter_1.weight", (DIM, channels[0], 1, 1)
    yield from both(f"{root}.adapter_1.norm", DIM)
    yield f"{root}.layer_1.weight", (DIM, DIM, 3, 3)
    yield from both(f"{root}.layer_1.norm", DIM)
    yield from both(f"{root}.mask_features", DIM, DIM, 1, 1)


def authors_predictor() -> Shapes:
    root = "sem_seg_head.predictor"
    for i in range(2):
        layer = f"{root}.class_transformer.decoder.layers.{i}"
        yield from packed(f"{layer}.self_attn")
        yield from packed(f"{layer}.multihead_attn")
        yield from both(f"{layer}.linear1", FFN, DIM)
        yield from both(f"{layer}.linear2", DIM, FFN)
        for norm in ("norm1", "norm2", "norm3"):
            yield from both(f"{layer}.{norm}", DIM)
    yield from both(f"{root}.class_transformer.decoder.norm", DIM)
    for i in range(3):
        yield from packed(f"{root}.transformer_cross_attention_layers.{i}.multihead_attn")
        yield from both(f"{root}.transformer_cross_attention_layers.{i}.norm", DIM)
        yield from packed(f"{root}.transformer_self_attention_layers.{i}.self_attn")
        yield from both(f"{root}.transformer_self_attention_layers.{i}.norm", DIM)
        yield from both(f"{root}.transformer_ffn_layers.{i}.linear1", FFN, DIM)
        yield from both(f"{root}.transformer_ffn_layers.{i}.linear2", DIM, FFN)
        yield from both(f"{root}.transformer_ffn_layers.{i}.norm", DIM)
        yield from both(f"{root}.mask_embed.layers.{i}", DIM, DIM)
    yield from both(f"{root}.decoder_norm", DIM)
    yield f"{root}.query_embed.weight", (QUERIES, DIM)
    yield f"{root}.level_embed.weight", (3, DIM)
    yield from both(f"{root}.class_input_proj", DIM, DIM, 1, 1)
    yield from both(f"{root}.class_embed", CLASSES + 1, DIM)


def authors_texts() -> Shapes:
    yield from both("task_mlp.layers.0", DIM, 77)
    yield from both("task_mlp.layers.1", DIM, DIM)
    yield "text_encoder.token_embedding.weight", (VOCABULARY, DIM)
    yield "text_encoder.positional_embedding", (77, DIM)
    yield from both("text_encoder.ln_final", DIM)
    for i in range(2):
        block = f"text_encoder.transformer.resblocks.{i}"
        yield from packed(f"{block}.attn")
        yield from both(f"{block}.ln_1", DIM)
        yield from both(f"{block}.ln_2", DIM)
        yield from both(f"{block}.mlp.c_fc", 4 * DIM, DIM)
        yield from both(f"{block}.mlp.c_proj", DIM, 4 * DIM)
        yield from both(f"text_projector.layers.{i}", DIM, DIM)
    yield "prompt_ctx.weight", (CONTEXT, DIM)
    yield "criterion.logit_scale", ()
    yield "criterion.empty_weight", (CLASSES + 1,)


def authors_resnet() -> Shapes:
    def convolution(name: str, *weight: int) -> Shapes:
        yield f"backbone.{name}.weight", weight
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield f"backbone.{name}.norm.{part}", weight[:1]

    yield from convolution("stem.conv1", 64, 3, 7, 7)
    before = 64
    for stage, (depth, width) in enumerate(zip((2, 2, 2, 2), (256, 512, 1024, 2048), strict=True), start=2):
        for i in range(depth):
            if i == 0:
                yield from convolution(f"res{stage}.{i}.shortcut", width, before, 1, 1)
            yield from convolution(f"res{stage}.{i}.conv1", width // 4, before, 1, 1)
            yield from convolution(f"res{stage}.{i}.conv2", width // 4, width // 4, 3, 3)
            yield from convolution(f"res{stage}.{i}.conv3", width, width // 4, 1, 1)
            before = width


def authors_swin() -> Shapes:
    yield from both("backbone.patch_embed.proj", 8, 3, 4, 4)
    yield from both("backbone.patch_embed.norm", 8)
    for stage, width in enumerate((8, 16, 32, 64)):
        for i in range(2):
            block = f"backbone.layers.{stage}.blocks.{i}"
            yield from both(f"{block}.norm1", width)
            yield f"{block}.attn.relative_position_bias_table", (25, 2)
            yield f"{block}.attn.relative_position_index", (9, 9)
            yield from both(f"{block}.attn.qkv", 3 * width, width)
            yield from both(f"{block}.attn.proj", width, width)
            yield from both(f"{block}.norm2", width)
            yield from both(f"{block}.mlp.fc1", 4 * width, width)
            yield from both(f"{block}.mlp.fc2", width, 4 * width)
        if stage < 3:
            yield f"backbone.layers.{stage}.downsample.reduction.weight", (2 * width, 4 * width)
            yield from both(f"backbone.layers.{stage}.downsample.norm", 4 * width)
        yield from both(f"backbone.norm{stage}", width)


def authors_convnext() -> Shapes:
    before = 3
    for stage, width in enumerate((8, 16, 32, 64)):
        size = 2 if stage else 4
        yield from both(f"backbone.downsample_layers.{stage}.{1 if stage else 0}", width, before, size, size)
        yield from both(f"backbone.downsample_layers.{stage}.{0 if stage else 1}", before if stage else width)
        for i in range(2):
            block = f"backbone.stages.{stage}.{i}"
            yield f"{block}.gamma", (width,)
            yield from both(f"{block}.dwconv", width, 1, 7, 7)
            yield from both(f"{block}.norm", width)
            yield from both(f"{block}.pwconv1", 4 * width, width)
            yield from both(f"{block}.pwconv2", width, 4 * width)
        yield from both(f"backbone.norm{stage}", width)
        before = width


def authors_dinat() -> Shapes:
    yield from both("backbone.patch_embed.proj.0", 4, 3, 3, 3)
    yield from both("backbone.patch_embed.proj.1", 8, 4, 3, 3)
    yield from both("backbone.patch_embed.norm", 8)
    for stage, width in enumerate((8, 16, 32, 64)):
        for i in range(len(DILATIONS[stage])):
            block = f"backbone.levels.{stage}.blocks.{i}"
            yield from both(f"{block}.norm1", width)
            yield f"{block}.attn.rpb", (2, 5, 5)
            yield from both(f"{block}.attn.qkv", 3 * width, width)
            yield from both(f"{block}.attn.proj", width, width)
            yield from both(f"{block}.norm2", width)
            yield from both(f"{block}.mlp.fc1", 2 * width, width)
            yield from both(f"{block}.mlp.fc2", width, 2 * width)
        if stage < 3:
            yield f"backbone.levels.{stage}.downsample.reduction.weight", (2 * width, width, 3, 3)
            yield from both(f"backbone.levels.{stage}.downsample.norm", 2 * width)
        yield from both(f"backbone.norm{stage}", width)


def resnet() -> nn.Module:
    return ResNet(depth=26)


def resnet_with_statistics() -> nn.Module:
    return ResNet(depth=26, norm="bn")


def swin() -> nn.Module:
    return Swin(width=8, depths=(2, 2, 2, 2), num_heads=(2, 2, 2, 2), window_size=3)


def convnext() -> nn.Module:
    return ConvNeXt(widths=(8, 16, 32, 64), depths=(2, 2, 2, 2))


def dinat() -> nn.Module:
    return DiNAT(dilations=DILATIONS, width=8, num_heads=(2, 2, 2, 2), kernel=3)


PORT_CONFIGS: dict[Callable[[], nn.Module], Callable[[], PretrainedConfig]] = {
    resnet: lambda: ResNetConfig(depths=[2] * 4, out_features=STAGES),
    resnet_with_statistics: lambda: ResNetConfig(depths=[2] * 4, out_features=STAGES),
    swin: lambda: SwinConfig(
        image_size=32, embed_dim=8, depths=[2] * 4, num_heads=[2] * 4, window_size=3, out_features=STAGES
    ),
    convnext: lambda: ConvNextConfig(hidden_sizes=[8, 16, 32, 64], depths=[2] * 4, out_features=STAGES),
    dinat: lambda: DinatConfig(
        embed_dim=8,
        depths=[len(level) for level in DILATIONS],
        num_heads=[2] * 4,
        kernel_size=3,
        dilations=DILATIONS,
        mlp_ratio=2.0,
        layer_scale_init_value=0.0,
        out_features=STAGES,
    ),
}
AUTHORS = {resnet: authors_resnet, swin: authors_swin, convnext: authors_convnext, dinat: authors_dinat}


def authors_state(encoder: Callable[[], Shapes], channels: tuple[int, ...]) -> dict[str, Tensor]:
    shapes = (*encoder(), *authors_pixel_decoder(channels), *authors_predictor(), *authors_texts())
    return {name: torch.randn(shape) for name, shape in shapes}


def random_authors_state() -> dict[str, Tensor]:
    return authors_state(authors_convnext, (8, 16, 32, 64))


def outcomes(report: Report, outcome: str) -> set[str]:
    return {entry.ours or entry.theirs[0] for entry in report.entries if entry.outcome == outcome}


@pytest.fixture(autouse=True)
def _one_seed_and_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def model() -> UniversalSegmenter:
    return small_model(convnext())


@pytest.mark.parametrize(("make", "encoder"), AUTHORS.items())
def test_the_authors_keys_all_find_their_place_and_come_back(
    make: Callable[[], nn.Module], encoder: Callable[[], Shapes]
) -> None:
    model = small_model(make())
    state = authors_state(encoder, model.backbone.channels)
    converted, report = convert(state, layout="authors", model=model)
    ignored = {name for name in state if name.endswith(("relative_position_index", "empty_weight"))}
    assert report.problems("file") == ()
    assert outcomes(report, "ignored") == ignored
    assert all(name.endswith("relative_position_index") for name in outcomes(report, "kept"))
    model.load_state_dict(converted, strict=False)
    written = to_authors(model.state_dict())
    assert written.keys() == state.keys() - ignored
    assert all(torch.equal(written[name], state[name]) for name in written)


@pytest.mark.parametrize(("make", "config"), PORT_CONFIGS.items())
def test_what_transformers_saves_loads_and_equals_what_it_holds(
    make: Callable[[], nn.Module],
    config: Callable[[], PretrainedConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(port_dinat, "requires_backends", lambda *_: None)
    port = OneFormerForUniversalSegmentation(
        OneFormerConfig(
            backbone_config=config(),
            is_training=True,
            num_queries=QUERIES,
            num_labels=CLASSES,
            conv_dim=DIM,
            mask_dim=DIM,
            hidden_dim=DIM,
            encoder_layers=2,
            decoder_layers=4,
            encoder_feedforward_dim=PIXEL_FFN,
            dim_feedforward=FFN,
            text_encoder_width=DIM,
            text_encoder_num_layers=2,
            text_encoder_vocab_size=VOCABULARY,
            text_encoder_n_ctx=CONTEXT,
        )
    )
    port.save_pretrained(tmp_path)
    model = small_model(make())
    on_disk = load_published(tmp_path)
    in_memory = port.state_dict()
    assert on_disk.layout == "transformers"
    assert detect(in_memory) == ("transformers_5" if make is swin else "transformers")
    loaded = load_weights(model, tmp_path)
    assert not {"missing", "unexpected", "mismatched"} & loaded.counts.keys()
    converted, report = convert(in_memory, layout=detect(in_memory), model=model)
    assert report.problems("memory") == ()
    state = model.state_dict()
    # transformers keeps the logit scale in double precision.
    assert all(torch.equal(state[name], converted[name].to(state[name].dtype)) for name in converted)
    written = to_transformers(state)
    assert all(torch.equal(written[name], on_disk.state[name].to(written[name].dtype)) for name in written)
    left = on_disk.state.keys() - written.keys()
    assert all(name.endswith(("num_batches_tracked", "empty_weight")) or ".swin.layernorm." in name for name in left)


def test_swins_patch_merging_is_reordered_by_neighbour() -> None:
    model = small_model(swin())
    state = authors_state(authors_swin, model.backbone.channels)
    # The authors' columns: even row and column first, then odd row, then odd column, then both odd.
    state["backbone.layers.0.downsample.norm.weight"] = torch.arange(4.0).repeat_interleave(8)
    converted, _ = convert(state, layout="authors", model=model)
    assert torch.equal(converted["backbone.stages.0.downsample.norm.weight"], torch.tensor([0.0, 2, 1, 3]).repeat(8))


def test_a_checkpoint_without_text_mapper_keeps_ours(model: UniversalSegmenter) -> None:
    text_keys = ("text_encoder.", "text_projector.", "prompt_ctx.", "criterion.")
    state = {name: tensor for name, tensor in random_authors_state().items() if not name.startswith(text_keys)}
    _, report = convert(state, layout="authors", model=model)
    assert report.problems("file") == ()
    assert all(name.startswith(("text_mapper.", "criterion.")) for name in outcomes(report, "kept"))
    assert "no text mapper" in str(report)


def test_half_a_text_mapper_is_refused(model: UniversalSegmenter) -> None:
    state = {name: tensor for name, tensor in random_authors_state().items() if "resblocks.1" not in name}
    _, report = convert(state, layout="authors", model=model)
    missing = outcomes(report, "missing")
    assert missing and all(name.startswith("text_mapper.encoder.layers.1.") for name in missing)


def test_an_inference_model_ignores_the_text_mapper_and_says_why() -> None:
    model = small_model(convnext(), is_training=False)
    _, report = convert(random_authors_state(), layout="authors", model=model)
    assert report.problems("file") == ()
    assert {"prompt_ctx.weight", "criterion.logit_scale"} <= outcomes(report, "ignored")
    assert "built without a text mapper" in str(report)


def test_every_wrong_key_is_listed_at_once(model: UniversalSegmenter, tmp_path: Path) -> None:
    state = random_authors_state()
    del state["sem_seg_head.predictor.query_embed.weight"]
    state["sem_seg_head.predictor.class_embed.bias"] = torch.zeros(151)
    state["backbone.head.weight"] = torch.zeros(3, 2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.save({"model": state}, tmp_path / "wrong.pth")
    with pytest.raises(DataError) as caught:
        load_weights(model, tmp_path / "wrong.pth")
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and all(str(tmp_path / "wrong.pth") in line for line in lines)
    assert "query_decoder.query_embedding.weight: missing, lacks sem_seg_head.predictor.query_embed.weight" in lines[0]
    assert "query_decoder.class_head.bias: mismatched, the file has [151]; shape [6]" in lines[1]
    assert "backbone.head.weight: unexpected" in lines[2]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_our_own_checkpoints_load_by_the_same_way(model: UniversalSegmenter, tmp_path: Path) -> None:
    save_file(model.state_dict(), tmp_path / "final.safetensors")
    other = small_model(convnext())
    report = load_weights(other, tmp_path / "final.safetensors")
    assert report.layout == "own" and set(report.counts) == {"loaded"}
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_other_models_have_no_place_in_a_published_layout() -> None:
    with pytest.raises(UsageError, match=r"reid_head\.weight has no place in the layout authors"):
        to_authors({"reid_head.weight": torch.zeros(1)})


def write_pth(state: dict[str, Tensor], folder: Path) -> Path:
    torch.save({"model": state, "iteration": 159_999}, folder / "model_final.pth")
    return folder / "model_final.pth"


def write_old_pth(state: dict[str, Tensor], folder: Path) -> Path:
    torch.save({"state_dict": state}, folder / "old.pth", _use_new_zipfile_serialization=False)
    return folder / "old.pth"


def write_distributed(state: dict[str, Tensor], folder: Path) -> Path:
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, folder / "ddp.pt")
    return folder / "ddp.pt"


def write_pkl(state: dict[str, Tensor], folder: Path) -> Path:
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    (folder / "model.pkl").write_bytes(pickle.dumps({"model": arrays, "__author__": "someone"}))
    return folder / "model.pkl"


def write_safetensors(state: dict[str, Tensor], folder: Path) -> Path:
    save_file(state, folder / "model.safetensors")
    return folder / "model.safetensors"


def write_shards(state: dict[str, Tensor], folder: Path) -> Path:
    parts = {"a.safetensors": sorted(state)[::2], "b.safetensors": sorted(state)[1::2]}
    for name, keys in parts.items():
        save_file({key: state[key] for key in keys}, folder / name)
    where = ", ".join(f'"{key}": "{name}"' for name, keys in parts.items() for key in keys)
    (folder / "model.safetensors.index.json").write_text(f'{{"weight_map": {{{where}}}}}')
    return folder


WRITERS = (write_pth, write_old_pth, write_distributed, write_pkl, write_safetensors, write_shards)


@pytest.mark.parametrize("write", WRITERS)
def test_every_kind_of_file_is_read(write: Callable[[dict[str, Tensor], Path], Path], tmp_path: Path) -> None:
    state = random_authors_state()
    published = load_published(write(state, tmp_path))
    assert published.layout == "authors"
    assert published.state.keys() == state.keys()
    assert all(torch.equal(published.state[name], state[name]) for name in state)


@pytest.mark.parametrize("write", WRITERS[:5])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.9])
def test_a_truncated_file_is_one_line(
    write: Callable[[dict[str, Tensor], Path], Path], kept: float, tmp_path: Path
) -> None:
    path = write(random_authors_state(), tmp_path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DataError) as caught:
        load_published(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"{path}: not a readable checkpoint")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("bomb",)


@pytest.mark.parametrize("name", ["evil.pkl", "evil.pth"])
def test_code_in_a_file_is_refused_and_not_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name.endswith("pkl"):
        Path(name).write_bytes(pickle.dumps({"model": Bomb()}))
    else:
        torch.save({"model": Bomb()}, name)
    with pytest.raises(DataError, match="not a readable checkpoint"):
        load_published(Path(name))
    assert not Path("bomb").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds list, not named tensors"),
        ({"epoch": 3}, "int, not a tensor"),
        ({"layer4.weight": torch.zeros(1)}, "1 tensors of no known layout, first 'layer4.weight'"),
    ],
)
def test_other_content_is_one_line(content: object, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(DataError, match=message):
        load_published(tmp_path / "other.pth")


def test_an_absent_file_and_an_empty_folder_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_published(tmp_path / "nowhere.pth")
    with pytest.raises(DataError, match=r"has neither model\.safetensors nor pytorch_model\.bin"):
        load_published(tmp_path)


def test_a_shard_that_lacks_a_tensor_is_one_line(tmp_path: Path) -> None:
    write_shards(random_authors_state(), tmp_path)
    shard = load_file(tmp_path / "b.safetensors")
    shard.pop(min(shard))
    save_file(shard, tmp_path / "b.safetensors")
    with pytest.raises(DataError, match="1 tensors are not in their shards"):
        load_published(tmp_path)


def test_the_command_prints_every_key_and_its_exit_code_is_strict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: UniversalSegmenter, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command.harness, "build_model", lambda training: model)
    state = random_authors_state()
    call = ["--system", "oneformer:mini", "--label-set", "ade20k"]
    assert command.main(["checkpoint", str(write_pth(state, tmp_path)), *call]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"layout authors: {len(state) - 1} loaded, 1 ignored"
    assert len(printed) == 1 + len(state)
    assert any("prompt_ctx.weight -> text_mapper.context.weight [3, 64]" in line for line in printed)
    del state["sem_seg_head.predictor.query_embed.weight"]
    assert command.main(["checkpoint", str(write_pth(state, tmp_path)), *call]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert command.main(["checkpoint", str(tmp_path / "model_final.pth"), "--system", "oneformer"]) == 2
    assert "expected NAME:VARIANT" in capsys.readouterr().err
