"""`ObjectDiscovery`: a prompt and an image become queries, each with a box, a mask, a quality and an identity.

The composition of UNINEXT (arXiv 2303.06674; MasterBin-IIAU/UNINEXT at 5ab0386): encode the image, generate the prompt,
fuse them, discover objects, retrieve those that the prompt means. It knows no data set and no tracks. Boxes are (centre
x, centre y, width, height) in 0..1 of the unpadded image. Shapes: B batch, N queries, L prompt tokens, S image tokens,
D width, E width of the prompt, H W the padded input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from models.deformable_decoder import DecodedQueries, DeformableDecoder, Memory
from models.denoising import DenoisingQueries
from models.feature_levels import LevelGeometry, LevelProjection, flat_tokens, level_geometry
from models.fusion import EarlyFusion
from models.heads import DynamicMaskHead, IdentityHead, IouHead
from models.object_proposals import DeformableEncoder, ProposalHead, Proposals, QueryContent
from models.prompt_tokens import PromptKind, PromptResizer, PromptTokens, joined
from models.retrieval import RetrievalHead
from models.text_encoders import BertTextEncoder
from models.visual_prompt import Template, TemplateEncoder

PIXEL_MEAN, PIXEL_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFeatures:
    """What a batch of images gives any prompt. levels: [B, D, h, w], finest first. valid_sizes: int64 [B, 2], the
    unpadded (height, width)."""

    levels: tuple[Tensor, ...]
    geometry: LevelGeometry
    valid_sizes: Tensor

    def repeated(self, times: int) -> ImageFeatures:
        """The features of one image for several prompts that are asked together."""
        geometry = LevelGeometry(sizes=self.geometry.sizes, valid=self.geometry.valid.expand(times, -1))
        levels = tuple(level.expand(times, -1, -1, -1) for level in self.levels)
        return replace(self, levels=levels, geometry=geometry, valid_sizes=self.valid_sizes.expand(times, -1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """Queries of a batch after decoding. prompt: after fusion. valid_sizes: int64 [B, 2], unpadded (height, width).

    denoised: what became of the denoising queries, or None.
    """

    prompt: PromptTokens
    memory: Memory
    proposals: Proposals
    decoded: DecodedQueries
    valid_sizes: Tensor
    denoised: DecodedQueries | None = None


class ObjectDiscovery(nn.Module):
    """UNINEXT. Components arrive finished.

    retrieval, iou_heads: one per decoder layer. template_encoder, identity_head: of the video-level model, or None.
    denoising_content: makes the content of denoising queries in training. stride: images are padded to a multiple.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        *,
        text_encoder: BertTextEncoder,
        level_projection: LevelProjection,
        fusion: EarlyFusion,
        encoder: DeformableEncoder,
        proposals: ProposalHead,
        queries: QueryContent,
        decoder: DeformableDecoder,
        retrieval: Sequence[RetrievalHead],
        iou_heads: Sequence[IouHead],
        mask_head: DynamicMaskHead,
        denoising_content: PromptResizer,
        template_encoder: TemplateEncoder | None = None,
        identity_head: IdentityHead | None = None,
        stride: int = 32,
    ) -> None:
        super().__init__()
        num_layers = len(decoder.layers)
        if not len(retrieval) == len(iou_heads) == num_layers:
            raise ValueError(
                f"{len(retrieval)} retrieval and {len(iou_heads)} IoU heads for a decoder of {num_layers} layers"
            )
        self.backbone, self.text_encoder, self.template_encoder = backbone, text_encoder, template_encoder
        self.level_projection, self.fusion, self.encoder = level_projection, fusion, encoder
        self.proposals, self.queries, self.decoder = proposals, queries, decoder
        self.retrieval, self.iou_heads = nn.ModuleList(retrieval), nn.ModuleList(iou_heads)
        self.mask_head, self.identity_head = mask_head, identity_head
        self.denoising_content, self.stride = denoising_content, stride
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN)[:, None, None], persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD)[:, None, None], persistent=False)

    def normalise(self, image: Tensor) -> Tensor:
        """float32 [3, h, w]. image: uint8 or float [3, h, w] RGB 0..255."""
        return (image.to(self.pixel_mean.device).float() - self.pixel_mean) / self.pixel_std

    def batch(self, images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Normalised images [B, 3, H, W], zero-padded right and bottom to a multiple of the stride; bool [B, H, W].

        images: uint8 or float [3, h, w] RGB 0..255 each.
        """
        height, width = self.padded_size(images)
        pixels = self.pixel_mean.new_zeros(len(images), 3, height, width)
        valid = torch.zeros(len(images), height, width, dtype=torch.bool, device=pixels.device)
        for index, image in enumerate(images):
            h, w = image.shape[-2:]
            pixels[index, :, :h, :w] = self.normalise(image)
            valid[index, :h, :w] = True
        return pixels, valid

    def padded_size(self, images: Sequence[Tensor]) -> tuple[int, int]:
        """(H, W) of a batch: the largest sides, up to a multiple of the stride. images: [3, h, w] each."""
        height, width = (-(-max(image.shape[axis] for image in images) // self.stride) * self.stride for axis in (1, 2))
        return height, width

    def encode(self, images: Tensor, valid: Tensor) -> ImageFeatures:
        """Features that no prompt has touched. images: normalised [B, 3, H, W]. valid: bool [B, H, W]."""
        levels = self.level_projection(self.backbone(images))
        sizes = torch.stack((valid[:, :, 0].sum(1), valid[:, 0].sum(1)), dim=1)
        return ImageFeatures(levels=tuple(levels), geometry=level_geometry(levels, valid), valid_sizes=sizes)

    def ask_text(self, token_ids: Tensor, valid: Tensor, kind: PromptKind) -> PromptTokens:
        """The prompt of category names or expressions. token_ids: int64 [B, L]. valid: bool [B, L]."""
        return PromptTokens(tokens=self.text_encoder(token_ids, valid), valid=valid, kind=kind)

    def ask_templates(self, templates: Sequence[Template]) -> PromptTokens:
        """The prompt of one target that is shown once or several times, B = 1."""
        if self.template_encoder is None:
            raise ValueError("the model was built without a template encoder")
        images = torch.stack([template.image for template in templates])
        valid = torch.stack([template.valid for template in templates])
        shown = self.template_encoder(images, valid, level_projection=self.level_projection)
        parts = zip(shown.tokens.split(1), shown.valid.split(1), strict=True)
        return joined([PromptTokens(tokens=tokens, valid=flags, kind="template") for tokens, flags in parts])

    def discover(
        self,
        image: ImageFeatures,
        prompt: PromptTokens,
        *,
        index: Tensor | None = None,
        denoising: DenoisingQueries | None = None,
    ) -> Discovered:
        """The figure: fuse, encode, propose, decode. index: int64 [B, N], forces which tokens become queries.

        denoising: queries with noised boxes that are decoded along, in training.
        """
        visual, fused = self.fusion(flat_tokens(image.levels), prompt)
        memory = Memory(tokens=self.encoder(visual, image.geometry), geometry=image.geometry)
        proposals = self.proposals(memory.tokens, image.geometry, index)
        content, boxes, allowed = self.queries(fused, proposals.boxes.shape[1]), proposals.boxes, None
        num_noised = 0 if denoising is None else len(denoising)
        if denoising is not None:
            allowed = denoising.allowed(content.shape[1])
            content = torch.cat((denoising.content, content), dim=1)
            boxes = torch.cat((denoising.boxes, boxes), dim=1)
        decoded = self.decoder(content, boxes, memory=memory, allowed=allowed)
        return Discovered(
            prompt=fused,
            memory=memory,
            proposals=proposals,
            decoded=decoded.rows(slice(num_noised, None)),
            valid_sizes=image.valid_sizes,
            denoised=decoded.rows(slice(num_noised)) if denoising is not None else None,
        )

    def retrieve(self, found: Discovered, layer: int = -1) -> Tensor:
        """Logits of the queries against prompt tokens [B, N, L], or against the whole prompt [B, N, 1]."""
        return self.retrieval[layer](found.decoded.states[layer], found.prompt)

    def retrieve_denoised(self, found: Discovered, layer: int = -1) -> Tensor:
        """The same of the denoising queries, [B, P, L] or [B, P, 1]."""
        if found.denoised is None:
            raise ValueError("nothing was denoised")
        return self.retrieval[layer](found.denoised.states[layer], found.prompt)

    def rate(self, found: Discovered, layer: int = -1) -> Tensor:
        """Logits of the boxes' IoU, [B, N]."""
        return self.iou_heads[layer](found.decoded.states[layer])[..., 0]

    def mask_features(self, found: Discovered) -> Tensor:
        """Maps [B, C, h, w] at stride 8 that all masks of an image share."""
        return self.mask_head.features(found.memory.geometry.split(found.memory.tokens))

    def draw(self, found: Discovered, features: Tensor, chosen: Tensor, layer: int = -1) -> Tensor:
        """Mask logits [B, M, H / 4, W / 4] of chosen queries, from the boxes that entered the layer.

        features: [B, C, h, w] of `mask_features`. chosen: int64 [B, M], positions among the queries.
        """
        layer %= len(found.decoded.states)
        states = _taken(found.decoded.states[layer], chosen)
        points = _taken(found.decoded.boxes[layer][..., :2], chosen) * found.valid_sizes.flip(1)[:, None]
        return self.mask_head(states, features=features, points=points)

    def identify(self, found: Discovered) -> Tensor:
        """Embeddings of all queries, [B, N, D]; they attend to each other."""
        if self.identity_head is None:
            raise ValueError("the model was built without an identity head")
        return self.identity_head.embed(found.decoded.states[-1], found.decoded.boxes[-1], memory=found.memory)


def _taken(rows: Tensor, chosen: Tensor) -> Tensor:
    """Rows [B, M, C] of [B, N, C] at positions [B, M]."""
    return rows.gather(1, chosen[..., None].expand(-1, -1, rows.shape[-1]))
