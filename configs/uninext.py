"""UNINEXT (Yan et al., CVPR 2023, arXiv 2303.06674): instances of ten tasks by prompts; see models/discovery.py.

    python benchmark/run.py --system uninext:video_r50 --checkpoint FILE --data-root DIR --suite video
    --cfg-options answers.tokenizer.vocabulary=VOCAB_TXT

Numbers are those of the authors' code (MasterBin-IIAU/UNINEXT, commit 5ab0386). `image_*` are the weights of its second
stage, `video_*` those of its third, which the paper reports for every task. OVIS is published with
answers.rules.vis_short_side=720, YouTube-VOS with answers.rules.vos_least_score=0.5. `mini` is sized for two CPU cores.
"""

from mmengine.optim import MultiStepLR

from benchmark.minidata.naming import class_words, known_words, sentence_words
from models.backbones import ResNet
from models.checkpoints import load_weights
from models.convnext import ConvNeXt
from models.deformable_decoder import DeformableDecoder
from models.denoising import Denoising
from models.discovery import ObjectDiscovery
from models.discovery_answers import DiscoveryAnswers, published_rules
from models.discovery_learner import DiscoveryTrainer
from models.discovery_training import DiscoveryCriterion
from models.feature_levels import LevelProjection
from models.frame_views import FrameViews
from models.fusion import EarlyFusion
from models.heads import DynamicMaskHead, IdentityHead, IouHead
from models.lessons import Lesson, LessonPlan
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

trainer = dict(
    type=DiscoveryTrainer,
    iterations=91_990,
    batch_size=32,
    learning_rate=2e-4,
    backbone_factor=0.1,
    text_rate=1e-5,
    weight_decay=0.05,
    clip_norm=0.1,
    save_interval=2500,
    # Weights of the stage before: trainer.start_from=FILE.
    start_from=None,
    frozen=(),
    criterion=dict(type=DiscoveryCriterion, denoising=dict(type=Denoising)),
    recipe=dict(
        type=LessonPlan,
        # Needs BERT's word list: trainer.recipe.tokenizer.vocabulary=FILE.
        tokenizer=dict(type=PromptTokenizer, vocabulary=None),
        crop=dict(type=TemplateCrop),
    ),
)

# How frames are looked at: the released lists of short sides.
large = dict(short_sides=list(range(480, 801, 32)), long_cap=1333)
small = dict(short_sides=[320, 352, 392, 416, 448, 480, 512, 544, 576, 608, 640], long_cap=768)
picture = dict(large, sizes_before_cut=[400, 500, 600], spares_ordinals=True)
expressions = ("refcoco_referring_train", "refcoco+_referring_train", "refcocog_referring_train")


def lesson(row: str, kind: str, weight: float, views: dict, **more: object) -> dict:
    """A row of a stage. views: what `FrameViews` is told."""
    return dict(type=Lesson, row=row, kind=kind, weight=weight, views=dict(views, type=FrameViews), **more)


def steps(milestone: int) -> list:
    """A tenth after the milestone."""
    return [dict(kind=MultiStepLR, milestones=[milestone], gamma=0.1)]


def stage(lessons: list, iterations: int, milestone: int, recipe: dict | None = None, **more: object) -> dict:
    """What a variant's training adds: rows with their shares, and the trainer's differences."""
    shares: dict = {}
    for one in lessons:
        shares[one["row"]] = shares.get(one["row"], 0.0) + one["weight"]
    settings = dict(iterations=iterations, schedule=steps(milestone), **more)
    settings["recipe"] = dict(recipe or {}, lessons=lessons)
    return dict(trainer=settings, trainings=[dict(label_set="any", rows=shares)])


image_tasks = ("detection", "instance", "grounding", "referring", "rvos")
every_task = (*image_tasks, "vis", "mot", "mots", "sot", "vos")

# The three stages. Objects365's boxes alone teach masks in the first, by extent and colour.
boxes = [
    lesson(
        "objects365_detection_v2_train_new",
        "categories",
        1.0,
        picture,
        uses_box_colours=True,
        balances_classes=True,
    )
]
pictures = [
    lesson("coco_instance_train2017", "categories", 0.5, picture),
    *[lesson(row, "expression", 0.5 / 3, picture) for row in expressions],
]


def clips(ovis: float, youtube_vis: float, coco: float, youtube_vis_each: int) -> list:
    """The last stage. Of the published mixture only BDD100K's detection pictures (0.18) are not in the catalogue."""
    seen = dict(is_pair=True)
    return [
        lesson("ovis_vis_train", "categories", ovis, large, **seen),
        lesson("youtube_vis19_vis_train", "categories", youtube_vis, small, clips_each=youtube_vis_each, **seen),
        lesson("coco_instance_train2017", "categories", coco, large, **seen),
        lesson("bdd100k_mot_train", "categories", 0.72, large, frame_range=3, **seen),
        lesson("bdd100k_instance_train", "categories", 0.02, large, **seen),
        lesson("bdd100k_mots_train", "categories", 0.08, large, frame_range=3, **seen),
        *[lesson(row, "expression", 0.67 / 3, large, **seen) for row in expressions],
        lesson("ref_youtube_vos_rvos_train", "expression", 0.33, small, **seen),
        lesson("got10k_sot_train", "template", 0.2, large, frame_range=200),
        lesson("lasot_sot_train", "template", 0.2, large, frame_range=200),
        lesson("trackingnet_sot_train", "template", 0.2, large, frame_range=200),
        lesson("coco_instance_train2017", "template", 0.2, large),
        lesson("youtube_vos18_vos_train", "template", 0.2, small, frame_range=200),
    ]


# Encoders: the module, the channels of its maps at strides 8, 16 and 32, and what test pictures are padded to.
r50 = (dict(type=ResNet, depth=50, norm="frozen_bn"), (512, 1024, 2048), 1)
convnext_l = (dict(type=ConvNeXt, drop_path=0.7, norm_finest=False), (384, 768, 1536), 32)
vit_h = (dict(type=ViT), (640, 1280, 1280), 32)


def image_level(encoder: tuple, training: dict) -> dict:
    """A model for pictures: categories and expressions."""
    backbone, channels, stride = encoder
    parts = dict(backbone=backbone, level_projection=dict(in_channels=channels), stride=stride)
    return dict(training, model=parts, tasks=image_tasks)


def video_level(encoder: tuple, training: dict) -> dict:
    """A model that can also be shown targets, by a copy of its encoder, and knows objects again."""
    row = image_level(encoder, training)
    shown = dict(type=TemplateEncoder, backbone=dict(encoder[0], in_channels=4))
    parts = dict(template_encoder=shown, identity_head=dict(type=IdentityHead))
    return dict(row, model=dict(row["model"], **parts), tasks=every_task)


def first_stage(**more: object) -> dict:
    """Twelve epochs of Objects365 on 32 GPUs with two pictures each."""
    return stage(boxes, 340_741, 312_346, None, batch_size=64, **more)


def last_stage(lessons: list) -> dict:
    """On 32 clips an iteration."""
    return stage(lessons, 180_000, 150_000, learning_rate=1e-4, frozen=("text_encoder.",))


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
mini_views = dict(short_sides=list(range(96, 145, 8)), long_cap=400, cut=(64, 112))
mini_lessons = [
    lesson("coco_instance_train2017", "categories", 0.5, mini_views, is_pair=True),
    lesson("youtube_vis19_vis_train", "categories", 0.3, mini_views, is_pair=True),
    lesson("bdd100k_mots_train", "categories", 0.3, mini_views, frame_range=3, is_pair=True),
    lesson("refcoco_referring_train", "expression", 0.7, mini_views, is_pair=True),
    lesson("ref_youtube_vos_rvos_train", "expression", 0.3, mini_views, is_pair=True),
    lesson("lasot_sot_train", "template", 0.3, mini_views, frame_range=200),
    lesson("coco_instance_train2017", "template", 0.2, mini_views),
    lesson("davis17_vos_train", "template", 0.5, mini_views, frame_range=200),
]
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
    **stage(
        mini_lessons,
        4000,
        3200,
        batch_size=4,
        learning_rate=5e-4,
        backbone_factor=1.0,
        text_rate=5e-4,
        clip_norm=1.0,
        workers=0,
        save_interval=100,
        log_interval=20,
        recipe=dict(tokenizer=mini_tokenizer, crop=dict(size=64)),
    ),
)

released, vit_released = clips(0.17, 0.34, 0.51, 2), clips(0.25, 0.25, 0.5, 1)
untouched: dict = dict(frozen=("backbone.stem.", "backbone.res2."))
variants = dict(
    mini=mini,
    # The first stage: Objects365, boxes only.
    boxes_r50=image_level(r50, first_stage(**untouched)),
    boxes_convnext_l=image_level(convnext_l, first_stage()),
    boxes_vit_h=image_level(vit_h, first_stage()),
    # The second: COCO and RefCOCO/+/g.
    image_r50=image_level(r50, stage(pictures, 91_990, 76_658, **untouched)),
    image_convnext_l=image_level(convnext_l, stage(pictures, 91_990, 76_658)),
    image_vit_h=image_level(vit_h, stage(pictures, 48_000, 40_000, batch_size=64)),
    # The third: clips and pseudo-clips of every task.
    video_r50=video_level(r50, last_stage(released)),
    video_convnext_l=video_level(convnext_l, last_stage(released)),
    video_vit_h=video_level(vit_h, last_stage(vit_released)),
)
