"""UNINEXT of our components in any size, and every tensor of a forward pass under the names of the reference files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from uninext_oracle import NUM_QUERIES, Oracle, draw, token_ids

from models.attention import Mlp
from models.backbones import ResNet
from models.checkpoints import convert, to_uninext
from models.deformable_decoder import DeformableDecoder
from models.discovery import Discovered, ImageFeatures, ObjectDiscovery
from models.feature_levels import LevelProjection
from models.fusion import EarlyFusion
from models.heads import DynamicMaskHead, IdentityHead, IouHead
from models.object_proposals import DeformableEncoder, ProposalHead, QueryContent
from models.prompt_tokens import PromptKind, PromptResizer, PromptTokens
from models.retrieval import RetrievalHead, class_logits
from models.text_encoders import BertTextEncoder
from models.visual_prompt import TemplateCrop, TemplateEncoder

NUM_LAYERS = 6


def build(
    backbone: nn.Module,
    *,
    channels: Sequence[int],
    template_backbone: nn.Module | None = None,
    num_queries: int = 900,
    text_layers: int = 12,
    vocabulary_size: int = 30522,
    stride: int = 32,
) -> ObjectDiscovery:
    """The published sizes; video-level if there is a backbone for templates."""
    is_video = template_backbone is not None
    return ObjectDiscovery(
        backbone,
        text_encoder=BertTextEncoder(num_layers=text_layers, vocabulary_size=vocabulary_size),
        level_projection=LevelProjection(channels),
        fusion=EarlyFusion(),
        encoder=DeformableEncoder(),
        proposals=ProposalHead(num_queries=num_queries),
        queries=QueryContent(num_queries),
        decoder=DeformableDecoder(num_layers=NUM_LAYERS),
        retrieval=[RetrievalHead() for _ in range(NUM_LAYERS)],
        iou_heads=[IouHead() for _ in range(NUM_LAYERS)],
        mask_head=DynamicMaskHead(),
        denoising_content=PromptResizer(768, dim=256),
        template_encoder=TemplateEncoder(template_backbone) if is_video else None,
        identity_head=IdentityHead() if is_video else None,
        stride=stride,
    )


def oracle_model(*, is_video: bool = True) -> ObjectDiscovery:
    """The model of the reference tensors, with empty weights."""
    return build(
        ResNet(),
        channels=(512, 1024, 2048),
        template_backbone=ResNet(in_channels=4) if is_video else None,
        num_queries=NUM_QUERIES,
        text_layers=2,
        stride=1,
    )


def drawn_state(model: ObjectDiscovery) -> dict[str, Tensor]:
    """The rule's weights under the authors' names, for a model of any size."""
    shapes = {key: tuple(tensor.shape) for key, tensor in to_uninext(model.state_dict()).items()}
    state = {key: torch.from_numpy(draw(canonical(key), shape)) for key, shape in shapes.items() if "_iter" not in key}
    return state | {"criterion._iter": torch.zeros(1)}


def canonical(key: str) -> str:
    """The name whose weights a key has: the decoder's heads are kept twice."""
    for heads in ("class_embed", "bbox_embed"):
        key = key.replace(f"detr.detr.transformer.decoder.{heads}", f"detr.detr.{heads}")
    return key


class Recorder:
    """Outputs of modules in the order of their calls."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self.outputs: list[Tensor] = []
        for module in modules:
            module.register_forward_hook(lambda _module, _inputs, output: self.outputs.append(output))

    def taken(self) -> list[Tensor]:
        """What was recorded since the last call."""
        outputs, self.outputs = self.outputs, []
        return outputs


class Tracer:
    """Runs the cases of the reference files on weights that came through the converter."""

    def __init__(self) -> None:
        self.model = model = oracle_model()
        state, report = convert(drawn_state(model), layout="uninext", model=model)
        assert report.problems("") == ()
        model.load_state_dict(state)
        model.eval()
        position_mlp = model.decoder.position_mlp
        assert isinstance(position_mlp, Mlp)
        self.layers, self.positions = Recorder(model.encoder.layers), Recorder([position_mlp])

    def ask(self, oracle: Oracle) -> PromptTokens:
        """The case's prompt."""
        task = oracle.case["task"]
        if task != "template":
            kind: PromptKind = "categories" if task == "detection" else "expression"
            return self.model.ask_text(*token_ids(oracle.array("token_ids")), kind)
        frame = self.model.normalise(torch.from_numpy(oracle.array("template_image")))
        mask = None
        if "template_object_mask" in oracle:
            mask = torch.from_numpy(oracle.bits("template_object_mask", tuple(frame.shape[-2:])))
        boxes = [template["box_xyxy_pixels"] for template in oracle.case["templates"]]
        crop = TemplateCrop()
        return self.model.ask_templates([crop(frame, (a, b, c - a, d - b), mask=mask) for a, b, c, d in boxes])

    @torch.no_grad()
    def run(self, oracle: Oracle) -> tuple[dict[str, Tensor], Discovered]:
        """Our tensors of image 0, by the reference's names, and the whole result."""
        picture = "image" if "image" in oracle else "search_image"
        pixels, valid = self.model.batch([torch.from_numpy(oracle.array(picture))])
        image = self.model.encode(pixels, valid)
        prompt = self.ask(oracle)
        visual, fused = self.model.fusion(torch.cat([x.flatten(2) for x in image.levels], dim=2).mT, prompt)
        found = self.model.discover(image, prompt)
        named = self._image(pixels, image)
        named |= {"prompt_tokens": prompt.tokens, "prompt_mask": prompt.valid.long(), "fused_visual": visual}
        named |= {"fused_prompt": fused.tokens, "pooled_prompt": fused.pooled}
        named |= {f"encoder_layer_{n}": x for n, x in enumerate(self.layers.taken())}
        named |= self._queries(found) | self._heads(found, oracle)
        return {name: tensor[0] for name, tensor in named.items()}, found

    def _image(self, pixels: Tensor, image: ImageFeatures) -> dict[str, Tensor]:
        maps = self.model.backbone(pixels)
        named = {f"backbone_res{n}": x for n, x in zip((2, 3, 4, 5), maps)}
        named |= {f"projected_p{n}": x for n, x in zip((3, 4, 5, 6), image.levels)}
        positions = image.geometry.split(image.geometry.positions(256))
        named |= {f"sine_p{n}": x for n, x in zip((3, 4, 5, 6), positions)}
        named |= {f"{n}_channel_mean": x.mean((2, 3)) for n, x in named.items() if n.startswith("backbone")}
        named |= {f"{n}_channel_abs_mean": x.abs().mean((2, 3)) for n, x in named.items() if n.startswith("projected")}
        return named

    def _queries(self, found: Discovered) -> dict[str, Tensor]:
        named = {f"decoder_state_{n}": x for n, x in enumerate(found.decoded.states)}
        named |= {f"reference_{n}": x for n, x in enumerate(found.decoded.boxes)}
        named |= {"query_position_0": self.positions.taken()[0], "memory_abs_sum": found.memory.tokens.abs().sum(-1)}
        named |= {"proposal_score": found.proposals.score, "proposal_box_logit": found.proposals.box_logits}
        return named | {"proposal_index": found.proposals.index}

    def _heads(self, found: Discovered, oracle: Oracle) -> dict[str, Tensor]:
        every = torch.arange(NUM_QUERIES)[None]
        features = self.model.mask_features(found)
        named = {"retrieval_logits": self.model.retrieve(found), "iou_logits": self.model.rate(found)}
        named |= {"box": self.model.decoder.refined_boxes(found.decoded, NUM_LAYERS - 1), "mask_features": features}
        named |= {"mask_parameters": self.model.mask_head.controller(found.decoded.states[-1])}
        named |= {"mask_reference_points": found.decoded.boxes[-2][..., :2] * found.valid_sizes.flip(1)[:, None]}
        named |= {"mask_logits": self.model.draw(found, features, every)}
        named |= {"identity_embedding": self.model.identify(found)}
        positions = oracle.case.get("label_to_token_positions")
        tokens = list(positions.values()) if positions else [[0]]
        return named | {"class_logits": class_logits(named["retrieval_logits"], tokens)}


@cache
def tracer() -> Tracer:
    """One tracer for all tests of a process."""
    return Tracer()


@cache
def traced(folder: Path, case: str) -> tuple[dict[str, Tensor], Discovered]:
    """`Tracer.run` of a case, computed once a process. folder: of the reference files."""
    return tracer().run(Oracle(folder, case))
