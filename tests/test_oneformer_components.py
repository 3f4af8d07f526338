"""OneFormer's pieces on their own: attention, positions, matching, tokenizers, initial weights, options."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch
from torch import nn

from benchmark.contract import Task
from benchmark.problems import UsageError
from models.attention import Attention, sine_positions
from models.deformable_attention import MultiScaleDeformableAttention, deformable_attention
from models.matching import MatchingCost, assign, sample_points
from models.pixel_decoder import PixelDecoder, pixel_centres
from models.query_decoder import QueryInitialiser, allowed_places
from models.task_tokens import TASK_SENTENCES, TaskEncoder, TextList
from models.text_encoders import CausalTextEncoder, TextMapper
from models.tokenizers import CLIP_END, CLIP_NUM_MERGES, CLIP_START, ClipTokenizer, WordTokenizer


def test_attention_is_pytorchs_multi_head_attention() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(16, num_heads=4), nn.MultiheadAttention(16, 4, batch_first=True)
    nn.init.normal_(ours.in_proj_bias)
    theirs.load_state_dict(ours.state_dict())
    query, key, value = torch.randn(2, 5, 16), torch.randn(2, 7, 16), torch.randn(2, 7, 16)
    allowed = (torch.rand(2, 5, 7) < 0.6) | torch.eye(5, 7, dtype=torch.bool)
    expected = theirs(query, key, value, attn_mask=~allowed.repeat_interleave(4, dim=0), need_weights=False)[0]
    torch.testing.assert_close(ours(query, key, value, allowed=allowed), expected)


@pytest.mark.parametrize("layer", [Attention, MultiScaleDeformableAttention])
def test_a_width_that_heads_cannot_share_is_refused(layer: type[nn.Module]) -> None:
    extra = {"num_levels": 1, "num_points": 1} if layer is MultiScaleDeformableAttention else {}
    with pytest.raises(ValueError, match="width 10 cannot be shared by 4 heads"):
        layer(10, num_heads=4, **extra)


def make_deformable_inputs() -> tuple[torch.Tensor, list[tuple[int, int]], torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    shapes = [(3, 4), (6, 8), (5, 1)]
    tokens = sum(height * width for height, width in shapes)
    value = torch.randn(2, tokens, 4, 6, dtype=torch.float64, requires_grad=True)
    locations = (torch.rand(2, 9, 4, 3, 2, 2, dtype=torch.float64) * 1.4 - 0.2).requires_grad_()
    weights = torch.rand(2, 9, 4, 3, 2, dtype=torch.float64).flatten(3).softmax(-1).unflatten(-1, (3, 2))
    return value, shapes, locations, weights.detach().requires_grad_()


def test_deformable_attention_and_its_gradients_are_mmcvs() -> None:
    value, shapes, locations, weights = make_deformable_inputs()
    ours = deformable_attention(value, shapes, locations, weights)
    theirs = multi_scale_deformable_attn_pytorch(value, torch.tensor(shapes), locations, weights)
    torch.testing.assert_close(ours, theirs)
    upstream = torch.randn_like(ours)
    inputs = (value, locations, weights)
    for one, other in zip(torch.autograd.grad(ours, inputs, upstream), torch.autograd.grad(theirs, inputs, upstream)):
        torch.testing.assert_close(one, other)


def test_deformable_attention_reads_the_pixel_a_point_stands_on() -> None:
    value = torch.arange(12.0).view(1, 12, 1, 1)
    locations = pixel_centres((3, 4), torch.device("cpu")).view(1, 12, 1, 1, 1, 2)
    found = deformable_attention(value, [(3, 4)], locations, torch.ones(1, 12, 1, 1, 1))
    assert torch.allclose(found.flatten(), torch.arange(12.0), atol=1e-5)


def test_deformable_offsets_start_on_eight_rays() -> None:
    layer = MultiScaleDeformableAttention(16, num_heads=8, num_levels=2, num_points=3)
    offsets = layer.sampling_offsets.bias.detach().view(8, 2, 3, 2)
    expected = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]
    for head, ray in enumerate(expected):
        for point in range(3):
            assert torch.allclose(offsets[head, :, point], torch.tensor(ray) * (point + 1.0), atol=1e-5)
    assert not layer.sampling_offsets.weight.any()
    assert not layer.attention_weights.weight.any()


def test_sine_positions_follow_the_formula() -> None:
    dim, height, width = 8, 3, 5
    found = sine_positions((height, width), dim, torch.device("cpu"))
    assert found.shape == (dim, height, width)
    for channel in range(dim):
        place = channel % 4
        for y in range(height):
            for x in range(width):
                at = (y + 1) / (height + 1e-6) if channel < 4 else (x + 1) / (width + 1e-6)
                angle = at * 2 * math.pi / 10000 ** (2 * (place // 2) / 4)
                wave = math.sin(angle) if place % 2 == 0 else math.cos(angle)
                assert found[channel, y, x].item() == pytest.approx(wave, abs=1e-5)


def test_a_query_whose_mask_is_empty_looks_everywhere() -> None:
    logits = torch.full((1, 2, 4, 4), -3.0)
    logits[0, 1, :2, :2] = 3.0
    assert allowed_places(logits, (2, 2)).tolist() == [[[True] * 4, [True, False, False, False]]]


def test_matching_takes_the_cheapest_pairs_image_by_image() -> None:
    cost = torch.tensor([[[0.9, 9.0], [0.1, 9.0], [5.0, 9.0]], [[1.0, 2.0], [0.5, 0.1], [0.0, 0.0]]])
    pairs = assign(cost, [1, 2], torch.device("cpu"))
    assert pairs.image.tolist() == [0, 1, 1]
    assert pairs.query.tolist() == [1, 1, 2]
    assert pairs.target.tolist() == [0, 2, 1]


def test_a_cost_that_is_not_a_number_becomes_a_hundred() -> None:
    logits = torch.zeros(1, 2, 3)
    logits[0, 0, 0] = float("nan")
    points = torch.zeros(1, 2, 4)
    cost = MatchingCost()(logits, points, torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 1, 4))
    assert cost[0, 0, 0] == 100
    # -2 / 3 for the class, 5 ln 2 for the cross entropy, 5 (1 - (4 + 1) / (2 + 4 + 1)) for dice.
    assert cost[0, 1, 0].item() == pytest.approx(-2 / 3 + 5 * math.log(2) + 5 * (1 - 5 / 7), abs=1e-5)


def test_points_are_sampled_at_pixel_centres_without_aligned_corners() -> None:
    maps = torch.arange(12.0).view(1, 1, 3, 4)
    points = pixel_centres((3, 4), torch.device("cpu"))[None]
    assert torch.allclose(sample_points(maps, points)[0, 0], torch.arange(12.0), atol=1e-5)


def test_the_task_token_is_made_of_raw_ids() -> None:
    encoder = TaskEncoder(length=5, dim=4)
    ids = torch.tensor([[CLIP_START, 7, CLIP_END, 0, 0]])
    first, second = encoder.mlp.layers
    expected = second(torch.relu(first(ids.float())))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(encoder(ids), expected)


@pytest.mark.parametrize(
    ("use_task_norm", "use_task_token"), [(True, True), (False, True), (True, False)], ids=["full", "raw", "no token"]
)
def test_the_last_query_is_the_task_token_unless_there_is_none(use_task_norm: bool, use_task_token: bool) -> None:
    torch.manual_seed(0)
    initialiser = QueryInitialiser(
        8, mask_dim=8, num_heads=2, hidden_dim=8, use_task_norm=use_task_norm, use_task_token=use_task_token
    ).eval()
    norm, task, features = nn.LayerNorm(8), torch.randn(2, 8), torch.randn(2, 8, 4, 4)
    queries = initialiser(task, mask_features=features, query_position=torch.randn(5, 8), norm=norm)
    assert queries.shape == (2, 5, 8)
    last = norm(task) if use_task_norm else task
    assert torch.allclose(queries[:, -1], last) == use_task_token
    other = initialiser(task + 1, mask_features=features, query_position=torch.zeros(5, 8), norm=norm)
    assert not torch.equal(other, queries)


def test_without_task_token_queries_do_not_depend_on_the_task() -> None:
    initialiser = QueryInitialiser(8, mask_dim=8, num_heads=2, hidden_dim=8, use_task_token=False).eval()
    norm, features, position = nn.LayerNorm(8), torch.randn(2, 8, 4, 4), torch.randn(5, 8)
    one, other = (
        initialiser(task, mask_features=features, query_position=position, norm=norm) for task in torch.randn(2, 2, 8)
    )
    assert torch.equal(one, other)


def test_initial_weights_have_the_authors_spread() -> None:
    torch.manual_seed(0)
    encoder = CausalTextEncoder(256, vocabulary_size=500, num_layers=6)
    layer = encoder.layers[0]
    decoder = PixelDecoder((32, 64, 128, 256), dim=256, num_layers=1)
    for weight, std in (
        (encoder.token_embedding.weight, 0.02),
        (encoder.position_embedding, 0.01),
        (layer.attention.in_proj_weight, 256**-0.5),
        (layer.attention.out_proj.weight, 256**-0.5 * 12**-0.5),
        (layer.expand.weight, 512**-0.5),
        (layer.contract.weight, 256**-0.5 * 12**-0.5),
        (decoder.level_embedding, 1.0),
        (decoder.input_projections[0][0].weight, (2 / (256 + 256)) ** 0.5),
        (decoder.smooth[0].weight, (256 * 9) ** -0.5),
        (decoder.lateral[0].weight, 32**-0.5),
    ):
        assert weight.std().item() == pytest.approx(std, rel=0.06)


def test_equal_texts_and_trailing_zeros_change_no_text_query() -> None:
    torch.manual_seed(0)
    encoder = CausalTextEncoder(16, vocabulary_size=20, length=9, num_layers=2, num_heads=2)
    mapper = TextMapper(encoder, dim=8, num_context=3)
    ids = torch.tensor([[[18, 3, 19, 0, 0, 0, 0, 0, 0], [18, 4, 5, 19, 0, 0, 0, 0, 0], [18, 3, 19, 0, 0, 0, 0, 0, 0]]])
    found = mapper(ids)
    assert found.shape == (1, 6, 8)
    torch.testing.assert_close(found[0, :3], mapper.projector(encoder(ids[0])))
    assert torch.equal(found[0, 0], found[0, 2])
    assert mapper.context is not None
    assert torch.equal(found[0, 3:], mapper.context.weight)


def test_text_features_ignore_what_follows_the_end() -> None:
    encoder = CausalTextEncoder(16, vocabulary_size=20, length=6, num_layers=2, num_heads=2)
    short, noisy = torch.tensor([[18, 3, 19, 0, 0, 0]]), torch.tensor([[18, 3, 19, 5, 6, 7]])
    assert torch.allclose(encoder(short), encoder(noisy), atol=1e-6)


def test_fixed_sentences_have_clips_ids() -> None:
    tokenizer = ClipTokenizer()
    assert tokenizer("The task is panoptic")[:8].tolist() == [49406, 518, 10549, 533, 1072, 24755, 49407, 0]
    assert tokenizer(TASK_SENTENCES[Task.INSTANCE])[:7].tolist() == [49406, 518, 10549, 533, 34572, 49407, 0]
    assert tokenizer("an instance photo")[:6].tolist() == [49406, 550, 34572, 1125, 49407, 0]
    assert tokenizer("a panoptic photo").shape == (77,)


def test_clip_without_merges_says_what_it_cannot_encode() -> None:
    with pytest.raises(UsageError, match=r"'a photo with a person' is not one of them"):
        ClipTokenizer()("a photo with a person")


def write_merges(path: Path) -> None:
    """A merge list of the right length: a few real ones, then pairs that no text contains."""
    real = ["t h", "i n", "th e</w>", "p h", "o t", "ph ot", "phot o</w>", "a n", "an d</w>", "d o", "n '", "1 2"]
    filler = [f"{chr(0x4E00 + index // 200)}{chr(0x4E00 + index % 200)} x" for index in range(CLIP_NUM_MERGES)]
    path.write_text("\n".join(["#version: 0.2", *real, *filler][: CLIP_NUM_MERGES + 1]) + "\n", encoding="utf-8")


def test_clip_merges_the_lowest_rank_first(tmp_path: Path) -> None:
    merges = tmp_path / "merges.txt"
    write_merges(merges)
    tokenizer = ClipTokenizer(merges, length=12)
    first = 512  # 256 bytes, then 256 bytes that end a word
    the, photo, conj = first + 2, first + 6, first + 8
    assert tokenizer("The  PHOTO and")[:6].tolist() == [CLIP_START, the, photo, conj, CLIP_END, 0]
    # "12" is two words of one digit each, so the merge of the two never applies; "1" and "2" end words of their own.
    digits = [256 + ord("1") - ord("!"), 256 + ord("2") - ord("!")]
    assert tokenizer("12")[:4].tolist() == [CLIP_START, *digits, CLIP_END]
    assert tokenizer("&amp;amp;")[:3].tolist() == [CLIP_START, 256 + ord("&") - ord("!"), CLIP_END]


def test_a_text_too_long_is_cut_and_closed(tmp_path: Path) -> None:
    merges = tmp_path / "merges.txt"
    write_merges(merges)
    ids = ClipTokenizer(merges, length=5)("the the the the the the")
    assert ids.tolist() == [CLIP_START, 514, 514, 514, CLIP_END]


def test_a_file_that_is_no_merge_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "merges.txt"
    path.write_text("#version\na b\n")
    with pytest.raises(UsageError, match=r"merges\.txt: expected a first line and 48894 merges"):
        ClipTokenizer(path)


def test_words_have_ids_and_unknown_ones_are_named() -> None:
    tokenizer = WordTokenizer(["tree", "merged", "blue"], length=6)
    ids = tokenizer("a tree-merged")
    end = tokenizer.vocabulary_size - 1
    assert ids[0] == end - 1
    assert ids[4] == end == ids.max()
    assert ids[5] == 0
    assert len(set(ids[1:4].tolist())) == 3
    with pytest.raises(UsageError, match=r"Word 'zebra' of 'a zebra' is not in the tokenizer's list"):
        tokenizer("a zebra")


def test_text_templates_name_class_and_kind_of_object() -> None:
    tokenizer = WordTokenizer(["car", "object"], length=9)
    text_list = TextList(tokenizer=tokenizer, num_texts=3, template="a photo with a {name} {type}")
    counts = np.array([0, 2], np.int64)
    texts = text_list.texts(counts, ["tree", "car"], Task.INSTANCE)
    assert texts == ["a photo with a car object", "a photo with a car object", "an instance photo"]
    assert text_list(counts, ["tree", "car"], Task.INSTANCE).shape == (3, 9)
