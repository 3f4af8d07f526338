"""The text half of UNINEXT's prompts: BERT's features equal the authors', names and expressions become tokens."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from uninext_oracle import TEXT_CASES, TOLERANCE, Oracle, draw, fill, token_ids

from benchmark.problems import UsageError
from models.text_encoders import BertTextEncoder
from models.text_prompts import (
    PromptTokenizer,
    category_prompts,
    clean_expression,
    clean_name,
    expression_prompt,
)

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "red", "fire", "dog", "cat", "gi", "hydra")
PIECES = (*WORDS, "##nt", "##raf", "##fe")


@pytest.fixture(scope="module")
def oracle_dir(samples_dir: Path) -> Path:
    return samples_dir / "oracles" / "uninext"


@pytest.fixture(scope="module")
def encoder(oracle_dir: Path) -> BertTextEncoder:
    built = fill(BertTextEncoder(num_layers=2), "text_encoder")
    assert isinstance(built, BertTextEncoder)
    return built


@pytest.fixture
def tokenizer(tmp_path: Path) -> PromptTokenizer:
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return PromptTokenizer(tmp_path / "vocab.txt", length=16)


def test_rule_gives_the_listed_weights(oracle_dir: Path) -> None:
    lines = (oracle_dir / "weights_video.tsv").read_text().splitlines()[1:]
    for key, shape, checksum, _ in (line.split("\t") for line in lines[::7]):
        drawn = draw(key, tuple(int(n) for n in shape.split("x")))
        assert f"{zlib.crc32(drawn.tobytes()):08x}" == checksum, key


@pytest.mark.parametrize("case", TEXT_CASES)
def test_text_features_equal_the_authors(oracle_dir: Path, encoder: BertTextEncoder, case: str) -> None:
    oracle = Oracle(oracle_dir, case)
    with torch.no_grad():
        hidden = encoder(*token_ids(oracle.array("token_ids")))[0]
    name = "text_hidden" if "text_hidden" in oracle else "prompt_tokens"
    assert oracle.difference(name, hidden) < TOLERANCE


def test_names_are_joined_without_a_last_period(tokenizer: PromptTokenizer) -> None:
    (prompt,) = category_prompts(["Dog", "fire_hydrant (red)", "giraffe"], tokenizer)
    words = [PIECES[i] for i in prompt.token_ids[prompt.valid]]
    assert words == ["[CLS]", "dog", ".", "fire", "hydra", "##nt", ".", "gi", "##raf", "##fe", "[SEP]"]
    assert prompt.token_positions == ((1,), (3, 4, 5), (7, 8, 9))
    assert (prompt.token_ids[~prompt.valid] == 0).all()


def test_a_long_vocabulary_is_split_between_names(tokenizer: PromptTokenizer) -> None:
    names = ["giraffe", "dog", "cat", "fire hydrant", "giraffe", "red dog", "cat"]
    prompts = category_prompts(names, tokenizer)
    assert [prompt.class_index for prompt in prompts] == [(0, 1, 2, 3), (4, 5, 6)]
    for prompt in prompts:
        for index, positions in zip(prompt.class_index, prompt.token_positions, strict=True):
            pieces = "".join(PIECES[prompt.token_ids[p]].removeprefix("##") for p in positions)
            assert pieces == names[index].replace(" ", "")


def test_a_name_longer_than_the_window_is_refused(tokenizer: PromptTokenizer) -> None:
    with pytest.raises(UsageError, match="16 word pieces; a prompt holds 1 to 14"):
        category_prompts(["dog", "cat " * 16], tokenizer)


def test_a_missing_word_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such word list"):
        PromptTokenizer(tmp_path / "vocab.txt")


def test_a_long_expression_is_cut_and_closed(tokenizer: PromptTokenizer) -> None:
    prompt = expression_prompt("Dog, " * 20, tokenizer)
    assert prompt.valid.all()
    assert [PIECES[i] for i in np.unique(prompt.token_ids)] == ["[CLS]", "[SEP]", "dog"]
    assert PIECES[prompt.token_ids[-1]] == "[SEP]"


@pytest.mark.parametrize(
    "given, cleaned",
    [("The left-most man's hat, (red)!", "the left most mans hat red"), ("either/or: #2", "either or 2")],
)
def test_expressions_lose_punctuation(given: str, cleaned: str) -> None:
    assert clean_expression(given) == cleaned


@pytest.mark.parametrize(
    "given, cleaned", [("traffic_light", "traffic light"), ("bow_(decorative_ribbons)", "bow "), ("a  b", "a b")]
)
def test_names_lose_brackets_and_underscores(given: str, cleaned: str) -> None:
    assert clean_name(given) == cleaned
