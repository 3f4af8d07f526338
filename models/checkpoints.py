"""Published checkpoints into our models and back, strictly: every key of both sides is accounted for.

`load_weights` is what a configuration names. A tensor that has no place, or a parameter that finds no tensor, is an
error unless `IGNORED` or `KEPT` says why it may be; the report lists all of them. Layouts: `checkpoint_layouts.py`.
Checkpoints of the authors and of transformers have been accounted for by the names of their modules; released files
may hold more, and the report will say so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from benchmark.problems import DataError, Problem, UsageError
from models.checkpoint_files import read_tensors
from models.checkpoint_layouts import Layout, detect, find_rule

Outcome = Literal["loaded", "ignored", "kept", "missing", "unexpected", "mismatched"]
FAILURES: tuple[Outcome, ...] = ("missing", "unexpected", "mismatched")

TEXT_KEY = re.compile(r"(model\.)?text_(mapper|encoder|projector)\..*|prompt_ctx\..*")
COMPUTED = r".*relative_position_index"
# Tensors of a file that may go unused, and why.
IGNORED = (
    (COMPUTED, "computed from the window size"),
    (r".*num_batches_tracked", "counter of batches; this norm keeps none"),
    (r"criterion\.empty_weight", "class weights come from the configuration"),
    (r".*encoder\.swin\.layernorm\..*", "never used: every output has a norm of its own"),
    (r"pixel_(mean|std)", "the model has its own"),
    (r"text_encoder\.body\.model\.embeddings\.position_ids", "the numbers 0 to 511"),
    (r"criterion\._iter", "counts iterations for the warm-up of a loss; starts at zero"),
)
# Parameters of ours that a file may lack, and why.
KEPT = (
    (COMPUTED, "computed from the window size"),
    (r".*num_batches_tracked", "counter of batches; starts at zero"),
    (r"criterion\..*", "used in training only; starts as configured"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of one parameter of ours (`ours`), or of one tensor of the file that has no place ("").

    theirs: names in the file. shape: of our tensor, or of theirs if it has no place. reason: why, or "".
    """

    outcome: Outcome
    ours: str
    theirs: tuple[str, ...]
    shape: tuple[int, ...]
    reason: str = ""

    def __str__(self) -> str:
        names = " + ".join(self.theirs) or "-"
        to = f" -> {self.ours}" if self.ours and (self.ours,) != self.theirs else ""
        return f"{self.outcome:10} {names}{to} {list(self.shape)}{f' ({self.reason})' if self.reason else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every key of a conversion. layout: of the file."""

    layout: Layout
    entries: tuple[Entry, ...]

    @property
    def counts(self) -> dict[Outcome, int]:
        """Number of entries per outcome."""
        return dict(Counter(entry.outcome for entry in self.entries))

    def problems(self, place: str) -> tuple[Problem, ...]:
        """What keeps the file from being loaded strictly, one line each."""
        return tuple(_problem(place, entry) for entry in self.entries if entry.outcome in FAILURES)

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {outcome}" for outcome, number in self.counts.items())
        return "\n".join((f"layout {self.layout}: {counts}", *(str(entry) for entry in self.entries)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The tensors of a checkpoint, by their own names, and the layout that these belong to."""

    state: Mapping[str, Tensor]
    layout: Layout


def load_published(path: Path) -> Published:
    """A checkpoint file or folder and its layout. Raises DataError when it cannot be read or is none that we know."""
    state = read_tensors(path)
    layout = detect(state)
    if layout is None:
        message = f"{len(state)} tensors of no known layout, first {min(state)!r}"
        known = "OneFormer's (sem_seg_head.*), transformers' (model.pixel_level_module.*), UNINEXT's (detr.detr.*)"
        remedy = f"Known are {known} and our own"
        raise DataError([Problem(place=str(path), message=message, remedy=remedy)])
    return Published(state=state, layout=layout)


def load_weights(model: nn.Module, path: Path) -> Report:
    """Fill the model from a checkpoint of any known layout; raises DataError with every key that does not fit."""
    published = load_published(path)
    state, report = convert(published.state, layout=published.layout, model=model)
    problems = report.problems(str(path))
    if problems:
        raise DataError(problems)
    model.load_state_dict(state, strict=False)
    return report


def convert(state: Mapping[str, Tensor], *, layout: Layout, model: nn.Module) -> tuple[dict[str, Tensor], Report]:
    """The tensors under the model's names, and what became of every key. state: any shapes, in the given layout."""
    has_text = any(TEXT_KEY.fullmatch(name) for name in state)
    converted: dict[str, Tensor] = {}
    entries: list[Entry] = []
    for name, own in model.state_dict().items():
        entry, tensor = _convert_one(name, own, state, layout, has_text)
        entries.append(entry)
        if tensor is not None:
            converted[name] = tensor
    used = {source for entry in entries for source in entry.theirs}
    needs_text = layout == "uninext" or any(name.startswith("text_mapper.") for name in model.state_dict())
    entries += [_left_over(name, state[name], needs_text) for name in sorted(set(state) - used)]
    return converted, Report(layout=layout, entries=tuple(entries))


def _left_over(name: str, tensor: Tensor, needs_text: bool) -> Entry:
    """What becomes of a tensor of the file that no parameter of ours asks for."""
    reason = _reason(name, IGNORED)
    if not needs_text and (TEXT_KEY.fullmatch(name) or name.startswith("criterion.")):
        reason = "used in training only; the model was built without a text mapper"
    outcome: Outcome = "unexpected" if reason is None else "ignored"
    reason = reason or "has no place in the model"
    return Entry(outcome=outcome, ours="", theirs=(name,), shape=tuple(tensor.shape), reason=reason)


def to_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict (any shapes) under the authors' names; what their layout has no place for is left out."""
    return _to_layout(state, "authors")


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict (any shapes) under transformers' names on disk; what it has no place for is left out."""
    return _to_layout(state, "transformers")


def to_uninext(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict (any shapes) under the names of UNINEXT's authors, with every tensor that they keep twice."""
    return _to_layout(state, "uninext") | {"criterion._iter": torch.zeros(1)}


def _to_layout(state: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    written: dict[str, Tensor] = {}
    for name, tensor in state.items():
        found = find_rule(layout, name)
        if found is not None:
            rule, names = found
            written |= dict(zip(names, rule.split(tensor), strict=True))
            written |= dict.fromkeys(rule.further_names(name), tensor)
        elif _reason(name, KEPT) is None:
            raise UsageError(f"{name} has no place in the layout {layout}: the model is none that was published so")
    return written


def _convert_one(
    name: str, own: Tensor, state: Mapping[str, Tensor], layout: Layout, has_text: bool
) -> tuple[Entry, Tensor | None]:
    """What becomes of one parameter of ours, and its tensor if the file has it in the right shape."""
    shape = tuple(own.shape)
    found = find_rule(layout, name)
    sources = found[1] if found else ()
    if found is None or any(source not in state for source in sources):
        reason = _reason(name, KEPT)
        if name.startswith("text_mapper.") and not has_text:
            reason = "the file has no text mapper, which is used in training only; starts from random"
        present = tuple(source for source in sources if source in state)
        absent = ", ".join(source for source in sources if source not in state) or "a name in this layout"
        if reason is not None and not present:
            return Entry(outcome="kept", ours=name, theirs=(), shape=shape, reason=reason), None
        return Entry(outcome="missing", ours=name, theirs=present, shape=shape, reason=f"lacks {absent}"), None
    rule = found[0]
    parts = [state[source] for source in sources]
    copies = tuple(copy for copy in rule.further_names(name) if copy in state)
    reason = None
    if any(tuple(part.shape) != rule.part_shape(shape) for part in parts):
        reason = f"the file has {' + '.join(str(list(part.shape)) for part in parts)}"
    elif any(not torch.equal(state[copy], parts[0]) for copy in copies):
        reason = f"differs from {' and '.join(copies)}, which should be the same tensor"
    if reason is not None:
        return Entry(outcome="mismatched", ours=name, theirs=sources + copies, shape=shape, reason=reason), None
    return Entry(outcome="loaded", ours=name, theirs=sources + copies, shape=shape), rule.join(parts)


def _reason(name: str, table: tuple[tuple[str, str], ...]) -> str | None:
    return next((reason for pattern, reason in table if re.fullmatch(pattern, name)), None)


def _problem(place: str, entry: Entry) -> Problem:
    name = entry.ours or entry.theirs[0]
    message = f"{entry.outcome}, {entry.reason}; shape {list(entry.shape)}"
    return Problem(place=f"{place}: {name}", message=message, remedy="Load it into the system it was made for")
