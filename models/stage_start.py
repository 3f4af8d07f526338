"""What a stage of UNINEXT's training begins with: the weights of the stage before, and what the next one adds.

Follows MasterBin-IIAU/UNINEXT at 5ab0386, whose scripts write the widened file before the last stage; here any file of
a known layout is read and widened as it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from benchmark.problems import DataError
from models.checkpoints import Report, convert, load_published
from models.discovery import ObjectDiscovery

ENCODER, COPY = "backbone.", "template_encoder.backbone."
NEW_PARTS = ("template_encoder.refinements.", "template_encoder.projection.", "identity_head.")
"""What has no weights before the last stage."""


def load_start(model: ObjectDiscovery, path: Path) -> Report:
    """Fill a model from a file of its own level, or a video-level one from an image-level file.

    Of an image-level file the encoder is copied for shown targets, and what is new keeps its fresh weights. Raises
    DataError with every other key that does not fit.
    """
    published = load_published(path)
    state, report = convert(published.state, layout=published.layout, model=model)
    if not any(name.startswith("template_encoder.") for name in state):
        state |= encoder_copy(state, model)
        copied = (*NEW_PARTS, COPY)
        report = replace(report, entries=tuple(one for one in report.entries if not one.ours.startswith(copied)))
    problems = report.problems(str(path))
    if problems:
        raise DataError(problems)
    model.load_state_dict(state, strict=False)
    return report


def encoder_copy(image_level: Mapping[str, Tensor], model: ObjectDiscovery) -> dict[str, Tensor]:
    """The encoder's weights once more for shown targets, none for a model without an encoder of targets.

    image_level: under our names, any shapes. Where the copy has one input channel more, for the target, it gets zeros.
    """
    found = {}
    for name, own in model.state_dict().items():
        source = image_level.get(ENCODER + name.removeprefix(COPY)) if name.startswith(COPY) else None
        if source is not None:
            is_wider = source.ndim == 4 and own.shape[1] == source.shape[1] + 1
            found[name] = F.pad(source, (0, 0, 0, 0, 0, 1)) if is_wider else source.clone()
    return found
