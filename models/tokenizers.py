"""Words to token ids: CLIP's byte-pair encoding and a plain word list. Neither downloads anything.

`ClipTokenizer` follows OpenAI's CLIP as SHI-Labs/OneFormer at 4962ef6 uses it, except that broken encodings
("mojibake") are not repaired first. Its merges come from a file the user names; OneFormer's fixed sentences need none.
Ids are padded with 0 to the sequence length; a longer text is cut and closed with the end id.
"""

from __future__ import annotations

import gzip
import html
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import regex
from numpy.typing import NDArray
from tokenizers import BertWordPieceTokenizer

from benchmark.contract import Task
from benchmark.problems import UsageError

CLIP_START, CLIP_END = 49406, 49407
CLIP_NUM_MERGES = 49152 - 256 - 2
CLIP_SENTENCES: Mapping[str, tuple[int, ...]] = {
    "the task is semantic": (518, 10549, 533, 29119, 1550),
    "the task is instance": (518, 10549, 533, 34572),
    "the task is panoptic": (518, 10549, 533, 1072, 24755),
    "a semantic photo": (320, 29119, 1550, 1125),
    "an instance photo": (550, 34572, 1125),
    "a panoptic photo": (320, 1072, 24755, 1125),
}
"""The ids of every fixed sentence that OneFormer is told, without start and end."""

SENTENCE_WORDS = ("a", "an", "instance", "is", "panoptic", "photo", "semantic", "task", "the", "with")
"""The words of OneFormer's fixed sentences."""
WORD = regex.compile(r"[\p{L}\p{N}]+")


class Tokenizer(Protocol):
    """vocabulary_size: ids are below it. length: L, ids per text."""

    vocabulary_size: int
    length: int

    def __call__(self, text: str) -> NDArray[np.int64]:
        """Token ids, int64 [L]: start, text, end, zeros. Raises UsageError for what it has no id for."""
        ...


class WordTokenizer:
    """One id per word of a list. Ids: 0 padding, then the words in order, then start and end, the largest.

    words: lower-case; the words of OneFormer's sentences are added.
    """

    def __init__(self, words: Iterable[str], *, length: int) -> None:
        known = sorted({*words, *SENTENCE_WORDS})
        self.length = length
        self.vocabulary_size = len(known) + 3
        self._id = {word: number for number, word in enumerate(known, start=1)}
        self._start, self._end = len(known) + 1, len(known) + 2

    def __call__(self, text: str) -> NDArray[np.int64]:
        words = WORD.findall(text.lower())
        unknown = [word for word in words if word not in self._id]
        if unknown:
            raise UsageError(
                f"Word {unknown[0]!r} of {text!r} is not in the tokenizer's list of {len(self._id)} words. "
                "Use another word or a model with a larger vocabulary"
            )
        return _frame([self._id[word] for word in words], self._start, self._end, self.length)


def task_words(more: Iterable[Iterable[str]] = ()) -> tuple[str, ...]:
    """The words of every task sentence, and those of further lists, sorted."""
    return tuple(sorted({task.value for task in Task}.union(*more)))


def read_words(path: str | Path) -> tuple[str, ...]:
    """The words of a text file, one a line."""
    return tuple(Path(path).read_text(encoding="utf-8").split())


class BertTokenizer:
    """BERT's uncased word pieces with [CLS] and [SEP]. vocabulary: `vocab.txt`, one piece a line.

    None: nothing can be tokenised until it is named in the config. length: L; a longer text is cut.
    """

    vocabulary_size = 30522

    def __init__(self, vocabulary: str | Path | None = None, *, length: int = 256) -> None:
        self.length = length
        if vocabulary is not None and not Path(vocabulary).is_file():
            raise UsageError(f"{vocabulary}: no such word list. Name BERT's published vocab.txt in the config")
        self._pieces = None if vocabulary is None else BertWordPieceTokenizer(str(vocabulary), lowercase=True)

    def __call__(self, text: str) -> NDArray[np.int64]:
        if self._pieces is None:
            raise UsageError(
                "No word list to tokenise with. Name BERT's published vocab.txt: --cfg-options "
                "model.concept_encoder.tokenizer.vocabulary=FILE"
            )
        found = self._pieces.encode(text).ids
        kept = found if len(found) <= self.length else [*found[: self.length - 1], found[-1]]
        return np.pad(np.asarray(kept, np.int64), (0, self.length - len(kept)))


class ClipTokenizer:
    """CLIP's byte-pair encoding with 49408 ids.

    merges: the published merge list, plain or gzipped (`bpe_simple_vocab_16e6.txt.gz`, or `merges.txt` beside a
    Hugging Face vocabulary); None: only the sentences of `CLIP_SENTENCES` are known.
    """

    vocabulary_size = CLIP_END + 1

    def __init__(self, merges: str | Path | None = None, *, length: int = 77) -> None:
        self.length = length
        self._rank: dict[tuple[str, str], int] = {}
        self._id: dict[str, int] = {}
        self._byte_sign = _byte_signs()
        self._known: dict[str, tuple[int, ...]] = dict(CLIP_SENTENCES)
        if merges is not None:
            self._read(Path(merges))

    def _read(self, path: Path) -> None:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as file:
            lines = file.read().split("\n")[1 : CLIP_NUM_MERGES + 1]
        pairs = [tuple(line.split()) for line in lines]
        if len(pairs) != CLIP_NUM_MERGES or any(len(pair) != 2 for pair in pairs):
            raise UsageError(
                f"{path}: expected a first line and {CLIP_NUM_MERGES} merges of two parts. Name CLIP's published file"
            )
        signs = list(self._byte_sign.values())
        entries = [*signs, *(sign + "</w>" for sign in signs), *("".join(pair) for pair in pairs)]
        self._id = {entry: number for number, entry in enumerate(entries)}
        self._rank = {(a, b): number for number, (a, b) in enumerate(pairs)}

    def __call__(self, text: str) -> NDArray[np.int64]:
        cleaned = " ".join(html.unescape(html.unescape(text)).split()).lower()
        if cleaned not in self._known:
            if not self._rank:
                raise UsageError(
                    f"No CLIP merges were given, so only the task sentences have ids; {text!r} is not one of them. "
                    "Name the merge file in the config"
                )
            self._known[cleaned] = tuple(number for word in _clip_words(cleaned) for number in self._encode(word))
        return _frame(self._known[cleaned], CLIP_START, CLIP_END, self.length)

    def _encode(self, word: str) -> list[int]:
        """Ids of one word: the pair of neighbours with the lowest rank is merged until none has a rank."""
        parts = [self._byte_sign[byte] for byte in word.encode()]
        parts[-1] += "</w>"
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: self._rank.get(pair, CLIP_NUM_MERGES))
            if best not in self._rank:
                break
            parts = _merge(parts, best)
        return [self._id[part] for part in parts]


def _merge(parts: Sequence[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    index = 0
    while index < len(parts):
        is_pair = tuple(parts[index : index + 2]) == pair
        merged.append("".join(pair) if is_pair else parts[index])
        index += 2 if is_pair else 1
    return merged


def _clip_words(text: str) -> list[str]:
    """CLIP's words: contractions, runs of letters, single digits, runs of other signs."""
    return regex.findall(r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+", text)


def _byte_signs() -> dict[int, str]:
    """A visible character for each byte, in the order of CLIP's ids: printable bytes stand for themselves."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


def _frame(ids: Sequence[int], start: int, end: int, length: int) -> NDArray[np.int64]:
    framed = np.zeros(length, np.int64)
    kept = [start, *ids, end][:length]
    framed[: len(kept)] = kept
    if len(ids) + 2 > length:
        framed[-1] = end
    return framed
