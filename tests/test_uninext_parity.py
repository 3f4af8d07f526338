"""UNINEXT's forward pass, tensor by tensor: ours against the authors' on equal weights, for every kind of prompt."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from uninext_model import traced, tracer
from uninext_oracle import CASES, TOLERANCE, Oracle

from models.discovery import Discovered

pytestmark = pytest.mark.parity

# Mask logits reach 28 and reference points some hundred pixels; the reference suggests ten times the tolerance.
COARSE = {"mask_logits": 1e-3, "mask_reference_points": 1e-3}
STAGES = {
    "image": ("backbone_", "projected_", "sine_"),
    "prompt": ("prompt_tokens", "prompt_mask"),
    "fusion": ("fused_visual", "fused_prompt", "pooled_prompt"),
    "encoder": ("encoder_layer_", "memory_abs_sum"),
    "proposals": ("proposal_",),
    "decoder": ("reference_", "query_position_0", "decoder_state_"),
    "retrieval": ("retrieval_logits", "class_logits"),
    "box and quality": ("box", "iou_logits"),
    "mask": ("mask_parameters", "mask_reference_points", "mask_features", "mask_logits"),
    "identity": ("identity_embedding",),
}
# The absolute values of 256 channels are summed.
SUMS = {"memory_abs_sum": 1e-3}

Run = tuple[Oracle, dict[str, Tensor], Discovered]


@pytest.fixture(scope="module", params=CASES)
def run(request: pytest.FixtureRequest, samples_dir: Path) -> Run:
    folder = samples_dir / "oracles" / "uninext"
    return (Oracle(folder, request.param), *traced(folder, request.param))


@pytest.mark.parametrize("stage", STAGES)
def test_every_tensor_of_a_stage_equals_the_authors(run: Run, stage: str) -> None:
    oracle, ours, _ = run
    names = [name for name in oracle.names() if name.startswith(STAGES[stage]) and name in ours]
    assert names or (stage == "image" and "grounding" in oracle.name) or stage in ("prompt", "identity", "image")
    for name in names:
        assert oracle.difference(name, ours[name]) < (COARSE | SUMS).get(name, TOLERANCE), name


def test_every_stored_tensor_is_compared(run: Run) -> None:
    oracle, ours, _ = run
    inputs = (
        "image",
        "search_image",
        "template_",
        "second_template_",
        "token_ids",
        "text_hidden",
        "final_",
        "nms_keep",
    )
    assert [name for name in oracle.names() if name not in ours and not name.startswith(inputs)] == []
    stages = tuple(prefix for prefixes in STAGES.values() for prefix in prefixes)
    assert [name for name in ours if not name.startswith(stages)] == []


@torch.no_grad()
def test_asking_twice_leaves_the_prompt_untouched(samples_dir: Path) -> None:
    oracle = Oracle(samples_dir / "oracles" / "uninext", "image_grounding_192x256")
    model = tracer().model
    image = model.encode(*model.batch([torch.from_numpy(oracle.array("image"))]))
    prompt = tracer().ask(oracle)
    first, again = (model.discover(image, prompt).decoded.boxes[-1] for _ in range(2))
    assert torch.equal(first, again)
