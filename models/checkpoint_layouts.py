"""Where each of our parameters is found in the published checkpoint layouts, as two tables say.

`checkpoint_keys.csv`: authors: SHI-Labs/OneFormer, commit 4962ef6. transformers: the names on disk, which version 5
still writes. transformers_5: the names in memory, other for Swin. `uninext_keys.csv`: uninext: MasterBin-IIAU/UNINEXT,
commit 5ab0386, image-level and video-level. own: what this library saves.
In the tables `#` stands for a number (`#-1` for one less), `*` for the rest; `=` repeats our name; an empty cell is
the cell before it; `{a|b|c}` are the row blocks of one packed matrix; `~` marks the four neighbours of Swin's patch
merging, which mmdet keeps in another order; `^` marks a vector that is kept as a table of one row; `a & b` are two
names of the same tensor.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

Layout = Literal["authors", "transformers", "transformers_5", "uninext", "own"]

TABLE = Path(__file__).with_name("checkpoint_keys.csv")
UNINEXT_TABLE = Path(__file__).with_name("uninext_keys.csv")
SIGNS: tuple[tuple[Layout, str], ...] = (
    ("transformers_5", "model.pixel_level_module.encoder.swin.embeddings."),
    ("transformers", "model.pixel_level_module."),
    ("authors", "sem_seg_head."),
    ("uninext", "detr.detr."),
    ("own", "query_decoder."),
    ("own", "level_projection."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one family of our parameters is made from theirs, and back.

    ours: pattern of the whole name. theirs: templates with `#` and `*`. copies: templates of further names of the same
    tensor. is_merging: the last axis is patch merging's. is_row: theirs has a first axis of length 1.
    """

    ours: re.Pattern[str]
    theirs: tuple[str, ...]
    copies: tuple[str, ...] = ()
    is_merging: bool = False
    is_row: bool = False

    def sources(self, name: str) -> tuple[str, ...] | None:
        """Their names for our parameter, or None if the rule is not about it."""
        return self._names(name, self.theirs)

    def further_names(self, name: str) -> tuple[str, ...]:
        """Names under which they keep our parameter once more."""
        return self._names(name, self.copies) or ()

    def _names(self, name: str, templates: Sequence[str]) -> tuple[str, ...] | None:
        match = self.ours.fullmatch(name)
        return None if match is None else tuple(_filled(template, match.groups()) for template in templates)

    def part_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of each of their tensors, given ours."""
        if self.is_row:
            return (1, *shape)
        return tuple(shape) if len(self.theirs) == 1 else (shape[0] // len(self.theirs), *shape[1:])

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Our tensor from theirs (any shape, equal but for the first axis)."""
        tensor = torch.cat(tuple(parts)) if len(parts) > 1 else parts[0]
        tensor = tensor[0] if self.is_row else tensor
        return _to_mmdet_merging(tensor) if self.is_merging else tensor

    def split(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """Their tensors from ours (any shape)."""
        tensor = _from_mmdet_merging(tensor) if self.is_merging else tensor
        tensor = tensor[None] if self.is_row else tensor
        return (
            tuple(part.contiguous() for part in tensor.chunk(len(self.theirs))) if len(self.theirs) > 1 else (tensor,)
        )


@cache
def rules(layout: Layout) -> tuple[Rule, ...]:
    """The rules of a layout; the first one whose pattern matches counts."""
    if layout == "own":
        return (Rule(ours=re.compile("(.+)"), theirs=("*",)),)
    table = UNINEXT_TABLE if layout == "uninext" else TABLE
    with table.open(encoding="utf-8", newline="") as file:
        return tuple(_rule(row, layout) for row in csv.DictReader(file))


def find_rule(layout: Layout, name: str) -> tuple[Rule, tuple[str, ...]] | None:
    """The rule for our parameter and its names in the layout, or None if the layout has no place for it."""
    for rule in rules(layout):
        sources = rule.sources(name)
        if sources is not None:
            return rule, sources
    return None


def detect(names: Iterable[str]) -> Layout | None:
    """The layout that tensor names belong to, or None if it is none of ours."""
    known = tuple(names)
    return next((layout for layout, sign in SIGNS if any(name.startswith(sign) for name in known)), None)


def _rule(row: dict[str, str], layout: Layout) -> Rule:
    cell = row[layout] or row["transformers"]
    template, *copies = cell.removeprefix("~").removeprefix("^").replace("=", row["ours"]).split(" & ")
    blocks = re.search(r"\{(.+)\}", template)
    names = [template.replace(blocks[0], block) for block in blocks[1].split("|")] if blocks else [template]
    pattern = re.escape(row["ours"]).replace(r"\#", r"(\d+)").replace(r"\*", "(.+)")
    return Rule(
        ours=re.compile(pattern),
        theirs=tuple(names),
        copies=tuple(copies),
        is_merging=cell.startswith("~"),
        is_row=cell.startswith("^"),
    )


def _filled(template: str, values: Sequence[str]) -> str:
    """The template with a value for each `#`, `#-1`, `#+1` ... and `*`, in order."""
    given = iter(values)

    def fill(match: re.Match[str]) -> str:
        value = next(given)
        return str(int(value) + int(match[1])) if match[1] else value

    return re.sub(r"#([+-]\d+)?|\*", fill, template)


def _to_mmdet_merging(tensor: Tensor) -> Tensor:
    """From (even row, even column), (odd, even), (even, odd), (odd, odd) x C to C x (ee, eo, oe, oo), last axis."""
    quarters = tensor.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :]
    return quarters.transpose(-1, -2).flatten(-2).contiguous()


def _from_mmdet_merging(tensor: Tensor) -> Tensor:
    quarters = tensor.unflatten(-1, (-1, 4))[..., [0, 2, 1, 3]]
    return quarters.transpose(-1, -2).flatten(-2).contiguous()
