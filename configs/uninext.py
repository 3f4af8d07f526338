"""UNINEXT (Yan et al., CVPR 2023, arXiv 2303.06674): instances of ten tasks by prompts; see models/discovery.py.

    python benchmark/run.py --system uninext:video_r50 --checkpoint FILE --data-root DIR --suite video
    --cfg-options answers.tokenizer.vocabulary=VOCAB_TXT

Numbers are those of the authors' code (MasterBin-IIAU/UNINEXT, commit 5ab0386). `image_*` are the weights of its second
stage, `video_*` those of its third, which the paper reports for every task. OVIS is published with
answers.rules.vis_short_side=720, YouTube-VOS with answers.rules.vos_least_score=0.5. `mini` is sized for two CPU cores.
"""

from benchmark.minidata.naming import class_words, known_words, sentence_words
from models.backbones import ResNet
from models.checkpoints import load_weights
from models.convnext import ConvNeXt
from models.deformable_decoder import DeformableDecoder
from models.discovery import ObjectDiscovery
from models.discovery_answers import DiscoveryAnswers, published_rules
from models.feature_levels import LevelProjection
from models.fusion import EarlyFusion
from models.heads import DynamicMaskHead, IdentityHead, IouHead
from models.object_proposals import DeformableEncoder, ProposalHead, QueryContent
from models.prompt_tokens import PromptResizer
from models.retrieval import RetrievalHead
from models.text_encoders import BertTextEncoder
from models.text_prompts import PromptTokenizer
from models.tokenizers import task_words
from models.visual_prompt import TemplateCrop, TemplateEncoder
from models.vit import ViT

num_queries, num_layers = 900, 6

model = dict(
    type=ObjectDiscovery,
    text_encoder=dict(type=BertTextEncoder),
    level_projection=dict(type=LevelProjection),
    fusion=dict(type=EarlyFusion),
    encoder=dict(type=DeformableEncoder),
    proposals=dict(type=ProposalHead, num_queries=num_queries),
    queries=dict(type=QueryContent, num_queries=num_queries),
    decoder=dict(type=DeformableDecoder, num_layers=num_layers),
    retrieval=[dict(type=RetrievalHead)] * num_layers,
    iou_heads=[dict(type=IouHead)] * num_layers,
    mask_head=dict(type=DynamicMaskHead),
    denoising_content=dict(type=PromptResizer, prompt_dim=768, dim=256),
)

load_weights = load_weights

answers = dict(
    type=DiscoveryAnswers,
    # Names and expressions need BERT's word list: answers.tokenizer.vocabulary=FILE.
    tokenizer=dict(type=PromptTokenizer, vocabulary=None),
    crop=dict(type=TemplateCrop),
    rules=dict(type=published_rules),
)

trainer = dict(iterations=0)

image_tasks = ("detection", "instance", "grounding", "referring", "rvos")
every_task = (*image_tasks, "vis", "mot", "mots", "sot", "vos")

# Encoders: the module, the channels of its maps at strides 8, 16 and 32, and what test pictures are padded to.
r50 = (dict(type=ResNet, depth=50, norm="frozen_bn"), (512, 1024, 2048), 1)
convnext_l = (dict(type=ConvNeXt, drop_path=0.7, norm_finest=False), (384, 768, 1536), 32)
vit_h = (dict(type=ViT), (640, 1280, 1280), 32)


def image_level(encoder: tuple) -> dict:
    """A model for pictures: categories and expressions."""
    backbone, channels, stride = encoder
    return dict(
        model=dict(backbone=backbone, level_projection=dict(in_channels=channels), stride=stride),
        tasks=image_tasks,
        trainings=[dict(label_set="any", rows={})],
    )


def video_level(encoder: tuple) -> dict:
    """A model that can also be shown targets, by a copy of its encoder, and knows objects again."""
    row = image_level(encoder)
    shown = dict(type=TemplateEncoder, backbone=dict(encoder[0], in_channels=4))
    parts = dict(template_encoder=shown, identity_head=dict(type=IdentityHead))
    return dict(row, model=dict(row["model"], **parts), tasks=every_task)


# `mini`: 128x128 scenes of the mini data, two CPU cores.
mini_dim, mini_hidden, mini_layers, mini_queries = 64, 128, 3, 40
mini_widths = (24, 48, 96, 128)
mini_encoder = dict(type=ResNet, depth=18, widths=mini_widths, stem_width=24, norm="bn")
mini_tokenizer = dict(
    length=64,
    words=dict(
        type=task_words,
        more=(
            dict(type=known_words),
            dict(type=sentence_words),
            dict(type=class_words, label_sets=("bdd100k_tracking", "youtube_vis19")),
        ),
    ),
)
mini = dict(
    model=dict(
        backbone=mini_encoder,
        text_encoder=dict(
            dim=mini_dim,
            vocabulary_size=250,
            length=64,
            num_layers=2,
            num_heads=4,
            hidden_dim=mini_hidden,
            dropout=0.0,
        ),
        level_projection=dict(in_channels=mini_widths[1:], dim=mini_dim, num_groups=8),
        fusion=dict(dim=mini_dim, prompt_dim=mini_dim, hidden_dim=mini_hidden, num_heads=4, dropout=0.0),
        encoder=dict(dim=mini_dim, num_layers=2, hidden_dim=mini_hidden),
        proposals=dict(dim=mini_dim, num_queries=mini_queries),
        queries=dict(num_queries=mini_queries, dim=mini_dim, prompt_dim=mini_dim),
        decoder=dict(dim=mini_dim, num_layers=mini_layers, hidden_dim=mini_hidden),
        retrieval=[dict(type=RetrievalHead, dim=mini_dim, prompt_dim=mini_dim)] * mini_layers,
        iou_heads=[dict(type=IouHead, dim=mini_dim)] * mini_layers,
        mask_head=dict(dim=mini_dim),
        denoising_content=dict(prompt_dim=mini_dim, dim=mini_dim),
        template_encoder=dict(
            type=TemplateEncoder, backbone=dict(mini_encoder, in_channels=4), dim=mini_dim, prompt_dim=mini_dim
        ),
        identity_head=dict(type=IdentityHead, dim=mini_dim, num_layers=1, hidden_dim=mini_hidden),
    ),
    answers=dict(tokenizer=mini_tokenizer, crop=dict(size=64), rules=dict(short_side=128)),
    tasks=every_task,
    trainings=[dict(label_set="any", rows={})],
)

variants = dict(
    mini=mini,
    image_r50=image_level(r50),
    image_convnext_l=image_level(convnext_l),
    image_vit_h=image_level(vit_h),
    video_r50=video_level(r50),
    video_convnext_l=video_level(convnext_l),
    video_vit_h=video_level(vit_h),
)
