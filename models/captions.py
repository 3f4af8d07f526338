"""Category prompts of UNINEXT's training: the classes that are there and random ones that are not, in random order.

Follows MasterBin-IIAU/UNINEXT at 5ab0386, whose pool of absent classes also holds the placeholder "__background__";
ours does not. Shapes: G objects, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.text_prompts import PromptTokenizer, TextPrompt, category_prompts, clean_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """A prompt, and the tokens of every class in it by class index."""

    prompt: TextPrompt
    tokens: dict[int, tuple[int, ...]]

    def positives(self, labels: Sequence[int]) -> Tensor:
        """bool [G, L], the tokens that mean each object; the first token for a class that is not in the prompt."""
        wanted = torch.zeros(len(labels), len(self.prompt.token_ids), dtype=torch.bool)
        for row, label in enumerate(labels):
            wanted[row, list(self.tokens.get(label, (0,)))] = True
        return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionDraw:
    """Draws captions. most_absent: classes of which the absent ones are drawn; half of the time all of these."""

    tokenizer: PromptTokenizer
    most_absent: int = 85

    def __call__(
        self, names: Sequence[str], present: Sequence[int], asked: Sequence[int], rng: np.random.Generator
    ) -> Caption:
        """names: of all classes. present: class indices in the picture. asked: class indices that may be named."""
        room = self.tokenizer.length - 2
        kept, room = self._fitting(names, _shuffled(sorted(set(present)), rng), room)
        pool = min(self.most_absent, len(asked))
        number = pool if rng.random() < 0.5 else int(rng.integers(1, pool + 1))
        absent = [index for index in _shuffled(asked, rng)[:number] if index not in set(present)]
        kept = _shuffled([*kept, *self._fitting(names, absent, room)[0]], rng)
        (prompt,) = category_prompts([names[index] for index in kept], self.tokenizer)
        return Caption(prompt=prompt, tokens=dict(zip(kept, prompt.token_positions, strict=True)))

    def _fitting(self, names: Sequence[str], classes: Sequence[int], room: int) -> tuple[list[int], int]:
        """(classes up to the first that no longer fits, tokens that are left). room: tokens."""
        kept = []
        for index in classes:
            # The separator counts with the name before it.
            needed = self.tokenizer.count(clean_name(names[index])) + 1
            if needed > room:
                break
            room -= needed
            kept.append(index)
        return kept, room


def _shuffled(classes: Sequence[int], rng: np.random.Generator) -> list[int]:
    return [int(index) for index in rng.permutation(np.asarray(classes, np.int64))]
