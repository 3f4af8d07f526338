"""Category names and expressions as token ids for a BERT-like encoder, and which tokens belong to which name.

Follows MasterBin-IIAU/UNINEXT at 5ab0386: names joined by ". " without a last period; a class is read off at all
tokens of its name; [CLS] and [SEP] count as valid tokens. Where the authors' label map runs past the encoder's window,
`category_prompts` splits the vocabulary into several prompts, in order, so that every name is whole in exactly one.
Shapes: L tokens, K classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import BertWordPieceTokenizer, Encoding

from benchmark.problems import UsageError

SEPARATOR = ". "
UNKNOWN = "[UNK]"
SPECIAL_PIECES = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]")
PUNCTUATION = (".", "-", "'", "/", ",", "&")
"""Signs of names and expressions that are tokens of their own beside a list of words."""
NO_WORDS = (
    "No word list to read words with. Name BERT's published vocab.txt: --cfg-options answers.tokenizer.vocabulary=FILE "
    "to evaluate, trainer.recipe.tokenizer.vocabulary=FILE to train"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPrompt:
    """What the text encoder reads.

    token_ids: int64 [L], zeros after the last token. valid: bool [L]. class_index: positions in the vocabulary of the
    names that are in this prompt. token_positions: for each of them, the tokens of its name; expressions have neither.
    """

    token_ids: NDArray[np.int64]
    valid: NDArray[np.bool_]
    class_index: tuple[int, ...] = ()
    token_positions: tuple[tuple[int, ...], ...] = ()


class PromptTokenizer:
    """BERT's uncased word pieces, or whole words of a list. vocabulary: `vocab.txt`, one piece a line.

    words: lower-case, in place of a file; a word that is not among them is refused. Without either, nothing can be read
    until a file is named in the config. length: L, tokens a prompt.
    """

    def __init__(
        self, vocabulary: str | Path | None = None, *, words: Iterable[str] | None = None, length: int = 256
    ) -> None:
        if vocabulary is not None and not Path(vocabulary).is_file():
            raise UsageError(
                f"{vocabulary}: no such word list. Name BERT's published vocab.txt in the config, one word piece a line"
            )
        self.length = length
        self._words = None if words is None else frozenset(words)
        self._pieces: BertWordPieceTokenizer | None = None
        if vocabulary is not None:
            self._pieces = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        elif self._words is not None:
            pieces = (*SPECIAL_PIECES, *PUNCTUATION, *sorted(self._words))
            self._pieces = BertWordPieceTokenizer({piece: number for number, piece in enumerate(pieces)})

    def encode(self, text: str) -> Encoding:
        """Ids and character positions of a text, [CLS] and [SEP] included, however long it is.

        Raises UsageError without a word list, and for a word that a closed one does not have.
        """
        if self._pieces is None:
            raise UsageError(NO_WORDS)
        found = self._pieces.encode(text)
        if self._words is not None and UNKNOWN in found.tokens:
            first, last = found.offsets[found.tokens.index(UNKNOWN)]
            raise UsageError(
                f"Word {text[first:last]!r} of {text!r} is not in the tokenizer's list of {len(self._words)} words. "
                "Use another word or a model with a larger vocabulary"
            )
        return found

    def count(self, text: str) -> int:
        """Number of word pieces of a text, without [CLS] and [SEP]."""
        return len(self.encode(text).ids) - 2

    def padded(self, encoding: Encoding) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(ids int64 [L], valid bool [L]); a longer text is cut and closed with [SEP]."""
        ids = list(encoding.ids)
        if len(ids) > self.length:
            ids = [*ids[: self.length - 1], ids[-1]]
        token_ids = np.zeros(self.length, np.int64)
        token_ids[: len(ids)] = ids
        return token_ids, np.arange(self.length) < len(ids)


def clean_name(name: str) -> str:
    """A category name as it is put into a prompt: nothing in brackets, spaces for underscores, one space at a time."""
    return re.sub(r"\(.*\)", "", name).replace("_", " ").replace("  ", " ")


def clean_expression(expression: str) -> str:
    """An expression as it is put into a prompt: lower case, no punctuation, spaces for hyphens and slashes."""
    return re.sub(r"[-/]", " ", re.sub(r"[.,'!?\"()*#:;]", "", expression.lower()))


def expression_prompt(expression: str, tokenizer: PromptTokenizer) -> TextPrompt:
    """The prompt of one expression."""
    token_ids, valid = tokenizer.padded(tokenizer.encode(clean_expression(expression)))
    return TextPrompt(token_ids=token_ids, valid=valid)


def category_prompts(names: Sequence[str], tokenizer: PromptTokenizer) -> tuple[TextPrompt, ...]:
    """As few prompts as hold all K names in order; one where they fit into the window, as the authors have it."""
    cleaned = [clean_name(name) for name in names]
    groups = _groups([tokenizer.count(name) for name in cleaned], names, tokenizer.length - 2)
    return tuple(_category_prompt(cleaned, group, tokenizer) for group in groups)


def _groups(counts: Sequence[int], names: Sequence[str], room: int) -> list[list[int]]:
    """Indices of the names of each prompt. counts: word pieces of the names; one more stands between two names."""
    groups: list[list[int]] = [[]]
    used = 0
    for index, count in enumerate(counts):
        if not 0 < count <= room:
            raise UsageError(
                f"Category {names[index]!r} has {count} word pieces; a prompt holds 1 to {room}. Rename the category"
            )
        if groups[-1] and used + 1 + count > room:
            groups.append([])
        used = count if not groups[-1] else used + 1 + count
        groups[-1].append(index)
    return groups


def _category_prompt(cleaned: Sequence[str], group: Sequence[int], tokenizer: PromptTokenizer) -> TextPrompt:
    encoding = tokenizer.encode(SEPARATOR.join(cleaned[index] for index in group))
    positions, start = [], 0
    for index in group:
        positions.append(_tokens_between(encoding, start, start + len(cleaned[index])))
        start += len(cleaned[index]) + len(SEPARATOR)
    token_ids, valid = tokenizer.padded(encoding)
    return TextPrompt(token_ids=token_ids, valid=valid, class_index=tuple(group), token_positions=tuple(positions))


def _tokens_between(encoding: Encoding, start: int, stop: int) -> tuple[int, ...]:
    """Tokens of the characters start..stop - 1; a blank at either end is stepped over, two at most, as upstream."""
    first = next((t for c in range(start, start + 3) if (t := encoding.char_to_token(c)) is not None), None)
    last = next((t for c in range(stop - 1, stop - 4, -1) if (t := encoding.char_to_token(c)) is not None), None)
    if first is None or last is None:
        raise ValueError(f"no token at characters {start} to {stop} of a prompt")
    return tuple(range(first, last + 1))
