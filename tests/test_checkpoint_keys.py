"""Keys of checkpoints: the authors', transformers' and ours all find their place; all that do not are said at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from oneformer_pair import build_ours, build_port
from plain_neighbourhoods import stand_in
from safetensors.torch import save_file
from small_checkpoints import AUTHORS, ENCODERS, SMALL, authors_state, outcomes, small_model, write_pth

from benchmark.problems import DataError, UsageError
from models import __main__ as command
from models.checkpoint_layouts import detect
from models.checkpoints import convert, load_published, load_weights, to_authors, to_transformers
from models.task_segmentation import UniversalSegmenter

pytestmark = [pytest.mark.usefixtures("one_seed_and_thread"), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def model() -> UniversalSegmenter:
    return small_model()


@pytest.mark.parametrize("encoder", AUTHORS)
def test_the_authors_keys_all_find_their_place_and_come_back(encoder: str) -> None:
    model, state = small_model(encoder), authors_state(encoder)
    converted, report = convert(state, layout="authors", model=model)
    ignored = {name for name in state if name.endswith(("relative_position_index", "empty_weight"))}
    assert report.problems("file") == ()
    assert outcomes(report, "ignored") == ignored
    assert all(name.endswith("relative_position_index") for name in outcomes(report, "kept"))
    model.load_state_dict(converted, strict=False)
    written = to_authors(model.state_dict())
    assert written.keys() == state.keys() - ignored
    assert all(torch.equal(written[name], state[name]) for name in written)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_what_transformers_saves_loads_and_equals_what_it_holds(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch)
    config, backbone = ENCODERS[encoder]()
    port, model = build_port(config, SMALL, is_training=True), build_ours(backbone, SMALL, is_training=True)
    port.save_pretrained(tmp_path)
    on_disk = load_published(tmp_path)
    in_memory = port.state_dict()
    assert on_disk.layout == "transformers"
    assert detect(in_memory) == ("transformers_5" if encoder == "swin" else "transformers")
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
    model, state = small_model("swin"), authors_state("swin")
    # The authors' columns: even row and column first, then odd row, then odd column, then both odd.
    state["backbone.layers.0.downsample.norm.weight"] = torch.arange(4.0).repeat_interleave(8)
    converted, _ = convert(state, layout="authors", model=model)
    assert torch.equal(converted["backbone.stages.0.downsample.norm.weight"], torch.tensor([0.0, 2, 1, 3]).repeat(8))


def test_our_own_checkpoints_load_by_the_same_way(model: UniversalSegmenter, tmp_path: Path) -> None:
    other = small_model()
    save_file(model.state_dict(), tmp_path / "final.safetensors")
    report = load_weights(other, tmp_path / "final.safetensors")
    assert report.layout == "own" and set(report.counts) == {"loaded"}
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_other_models_have_no_place_in_a_published_layout() -> None:
    with pytest.raises(UsageError, match=r"reid_head\.weight has no place in the layout authors"):
        to_authors({"reid_head.weight": torch.zeros(1)})


def test_a_checkpoint_without_text_mapper_keeps_ours(model: UniversalSegmenter) -> None:
    text_keys = ("text_encoder.", "text_projector.", "prompt_ctx.", "criterion.")
    state = {name: tensor for name, tensor in authors_state().items() if not name.startswith(text_keys)}
    _, report = convert(state, layout="authors", model=model)
    assert report.problems("file") == ()
    assert all(name.startswith(("text_mapper.", "criterion.")) for name in outcomes(report, "kept"))
    assert "no text mapper" in str(report)


def test_half_a_text_mapper_is_refused(model: UniversalSegmenter) -> None:
    state = {name: tensor for name, tensor in authors_state().items() if "resblocks.1" not in name}
    _, report = convert(state, layout="authors", model=model)
    missing = outcomes(report, "missing")
    assert missing and all(name.startswith("text_mapper.encoder.layers.1.") for name in missing)


def test_an_inference_model_ignores_the_text_mapper_and_says_why() -> None:
    model = small_model(is_training=False)
    _, report = convert(authors_state(), layout="authors", model=model)
    assert report.problems("file") == ()
    assert {"prompt_ctx.weight", "criterion.logit_scale"} <= outcomes(report, "ignored")
    assert "built without a text mapper" in str(report)


def test_every_wrong_key_is_listed_at_once(model: UniversalSegmenter, tmp_path: Path) -> None:
    state = authors_state()
    del state["sem_seg_head.predictor.query_embed.weight"]
    state["sem_seg_head.predictor.class_embed.bias"] = torch.zeros(151)
    state["backbone.head.weight"] = torch.zeros(3, 2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path = write_pth(state, tmp_path)
    with pytest.raises(DataError) as caught:
        load_weights(model, path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and all(str(path) in line for line in lines)
    assert "query_decoder.query_embedding.weight: missing, lacks sem_seg_head.predictor.query_embed.weight" in lines[0]
    assert "query_decoder.class_head.bias: mismatched, the file has [151]; shape [6]" in lines[1]
    assert "backbone.head.weight: unexpected" in lines[2]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_command_prints_every_key_and_its_exit_code_is_strict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: UniversalSegmenter, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command.harness, "build_model", lambda training: model)
    state = authors_state()
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
