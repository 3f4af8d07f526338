"""UNINEXT of our components, small enough for tests, with random weights that do not degenerate."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models.convnext import ConvNeXt
from models.deformable_decoder import DeformableDecoder
from models.discovery import ObjectDiscovery
from models.discovery_detector import DiscoveryDetector
from models.feature_levels import LevelProjection
from models.fusion import EarlyFusion
from models.heads import DynamicMaskHead, IdentityHead, IouHead
from models.object_proposals import DeformableEncoder, ProposalHead, QueryContent
from models.prompt_tokens import PromptResizer
from models.retrieval import RetrievalHead
from models.text_encoders import BertTextEncoder
from models.text_prompts import PromptTokenizer
from models.visual_prompt import TemplateCrop, TemplateEncoder

DIM, PROMPT_DIM, HIDDEN_DIM, NUM_LAYERS, WIDTHS = 32, 48, 64, 2, (8, 16, 24, 32)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-'/&(),"
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *LETTERS, *(f"##{one}" for one in LETTERS))


def _backbone(in_channels: int = 3) -> ConvNeXt:
    return ConvNeXt(widths=WIDTHS, depths=(1, 1, 1, 1), drop_path=0, in_channels=in_channels, norm_finest=False)


def small_discovery(*, num_queries: int = 20) -> ObjectDiscovery:
    """A video-level model in evaluation mode; weights follow from the generator's state."""
    model = ObjectDiscovery(
        _backbone(),
        text_encoder=BertTextEncoder(
            PROMPT_DIM, vocabulary_size=len(PIECES), num_layers=1, num_heads=4, hidden_dim=HIDDEN_DIM
        ),
        level_projection=LevelProjection(WIDTHS[1:], dim=DIM, num_groups=8),
        fusion=EarlyFusion(DIM, prompt_dim=PROMPT_DIM, hidden_dim=HIDDEN_DIM, num_heads=4),
        encoder=DeformableEncoder(DIM, num_layers=1, hidden_dim=HIDDEN_DIM),
        proposals=ProposalHead(DIM, num_queries=num_queries),
        queries=QueryContent(num_queries, dim=DIM, prompt_dim=PROMPT_DIM),
        decoder=DeformableDecoder(DIM, num_layers=NUM_LAYERS, hidden_dim=HIDDEN_DIM),
        retrieval=[RetrievalHead(DIM, prompt_dim=PROMPT_DIM) for _ in range(NUM_LAYERS)],
        iou_heads=[IouHead(DIM) for _ in range(NUM_LAYERS)],
        mask_head=DynamicMaskHead(DIM),
        denoising_content=PromptResizer(PROMPT_DIM, dim=DIM),
        template_encoder=TemplateEncoder(_backbone(4), dim=DIM, prompt_dim=PROMPT_DIM),
        identity_head=IdentityHead(DIM, num_layers=1, hidden_dim=HIDDEN_DIM),
    )
    with torch.no_grad():
        for head in (*model.retrieval, *model.iou_heads):
            nn.init.zeros_(head.get_parameter("bias"))
        for layer in model.text_encoder.modules():
            if isinstance(layer, nn.Embedding):
                nn.init.normal_(layer.weight)
    return model.eval()


def small_detector(folder: Path, *, length: int = 64, num_at_once: int = 4) -> DiscoveryDetector:
    """The model with a tokenizer that knows every letter. folder: where its word list goes. length: of a prompt."""
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    tokenizer = PromptTokenizer(vocabulary, length=length)
    return DiscoveryDetector(
        small_discovery(), tokenizer=tokenizer, crop=TemplateCrop(size=64), num_at_once=num_at_once
    )
