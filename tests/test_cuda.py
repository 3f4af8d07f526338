"""What only a CUDA device can show: mmcv's operator against PyTorch, the model against the CPU, a mixed-precision step.

`tests/cuda_check.sh` builds what these tests need and runs them; elsewhere they are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmark import harness
from benchmark.minidata import generate
from models.deformable_attention import (
    MultiScaleDeformableAttention,
    deformable_attention,
    deformable_attention_pytorch,
)
from models.precision import Bfloat16Encoder

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

SIZES = ((16, 20), (8, 10), (4, 5))


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    """Matrix products in whole float32, as on the CPU."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def attention_inputs(dtype: torch.dtype, *, batch: int = 2, queries: int = 37) -> list[Tensor]:
    """Values, sampling locations (some outside the maps) and weights on the CUDA device, equal for every dtype."""
    generator = torch.Generator().manual_seed(0)
    tokens = sum(height * width for height, width in SIZES)
    value = torch.randn(batch, tokens, 4, 8, generator=generator, dtype=torch.float64)
    locations = torch.rand(batch, queries, 4, len(SIZES), 4, 2, generator=generator, dtype=torch.float64) * 1.2 - 0.1
    weights = torch.rand(batch, queries, 4, len(SIZES) * 4, generator=generator, dtype=torch.float64).softmax(-1)
    inputs = (value, locations, weights.unflatten(-1, (len(SIZES), 4)))
    return [tensor.to("cuda", dtype).requires_grad_() for tensor in inputs]


def relative(ours: Tensor, reference: Tensor) -> float:
    """Largest difference over largest value."""
    return float((ours - reference).abs().max() / reference.abs().max())


def run(function: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """The result and the gradient of every input."""
    value, locations, weights = inputs
    result = function(value, SIZES, locations, weights)
    scale = torch.linspace(-1, 1, result.numel(), device=result.device, dtype=result.dtype).view_as(result)
    return [result.detach(), *torch.autograd.grad((result * scale).sum(), inputs)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_the_operator_equals_pytorch_forward_and_backward(dtype: torch.dtype, tolerance: float) -> None:
    ours = run(deformable_attention, attention_inputs(dtype))
    reference = run(deformable_attention_pytorch, attention_inputs(dtype))
    differences = [relative(one, other) for one, other in zip(ours, reference, strict=True)]
    assert max(differences) < tolerance, differences


def test_mmcv_was_built_with_cuda() -> None:
    from mmcv.ops import get_compiling_cuda_version, nms

    assert get_compiling_cuda_version() != "not available"
    boxes, scores = torch.rand(200, 4), torch.rand(200)
    boxes[:, 2:] += boxes[:, :2]
    assert nms(boxes.cuda(), scores.cuda(), 0.5)[1].tolist() == nms(boxes, scores, 0.5)[1].tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_attention_runs_under_autocast(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = MultiScaleDeformableAttention(32, num_heads=4, num_levels=len(SIZES), num_points=4).cuda()
    tokens = sum(height * width for height, width in SIZES)
    query, value = torch.randn(2, tokens, 32, device="cuda"), torch.randn(2, tokens, 32, device="cuda")
    arguments = {"reference_points": torch.rand(tokens, 2, device="cuda"), "spatial_shapes": SIZES}
    reference = layer(query, value, **arguments)
    with torch.autocast("cuda", dtype=dtype):
        result = layer(query, value, **arguments)
    result.float().sum().backward()
    assert relative(result.float(), reference) < 0.05
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


def predictions_on(device: str, model: nn.Module) -> list[Tensor]:
    """The encoded image's mask features, then the last class and mask logits, on the CPU."""
    image = torch.randint(0, 256, (3, 96, 128), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    model = model.to(device).eval()
    with torch.no_grad():
        features = model.encode(model.batch([image]))
        found = model.decode(features, model.ask(["the task is panoptic"]))
    return [tensor.cpu() for tensor in (features.mask_features, found.class_logits[-1], found.mask_logits[-1])]


@pytest.mark.parametrize("variant", ["mini", "r50_coco", "swin_t_coco", "convnext_l_ade20k", "dinat_l_coco"])
def test_the_model_gives_the_same_on_the_device_as_on_the_cpu(variant: str) -> None:
    torch.manual_seed(0)
    model = harness.build_model(harness.load_system("oneformer", variant).trainings[0])
    if isinstance(model.backbone, Bfloat16Encoder):
        model.backbone = model.backbone.encoder
    expected = predictions_on("cpu", model)
    found = predictions_on("cuda", model)
    assert relative(found[0], expected[0]) < 1e-3
    for ours, reference in zip(found[1:], expected[1:], strict=True):
        # one attention mask that flips at its threshold moves a few places, so the mean is held and not the largest
        assert float((ours - reference).abs().mean() / reference.abs().max()) < 1e-3


def mini_training(autocast: str) -> harness.Training:
    """Two iterations of oneformer:mini, and of its encoder's warm-up, under mixed precision."""
    options = ("trainer.iterations=2", f"trainer.autocast={autocast}", "warm_up.trainer.iterations=2")
    return harness.load_system("oneformer", "mini", options).trainings[0]


@pytest.mark.parametrize("autocast", ["bfloat16", "float16"])
def test_a_training_step_under_mixed_precision_gives_finite_weights(autocast: str, tmp_path: Path) -> None:
    root = generate.ensure(tmp_path / "data", sizes={"train": 16, "val": 4}, num_workers=1)
    losses: list[float] = []
    weights = harness.train(
        mini_training(autocast),
        data_root=root,
        is_mini=True,
        work_dir=tmp_path / "train",
        seed=0,
        report=lambda done, total, loss: losses.append(loss),
    )
    assert all(tensor.isfinite().all() for tensor in load_file(weights).values() if tensor.is_floating_point())
    assert all(0 < loss < 1e4 for loss in losses)
