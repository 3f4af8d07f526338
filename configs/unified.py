"""The unified system: OneFormer's task tokens and contrast, UNINEXT's prompts and retrieval (see models/unified.py).

    python benchmark/run.py --system unified:mini --suite full

One training answers every label set, because classes are prompts. `mini` is sized for two CPU cores.
"""

from mmengine.optim import CosineAnnealingLR, LinearLR, MultiStepLR

from benchmark.minidata.naming import class_words, known_words, sentence_words
from models.augmentation import Chain, HorizontalFlip, Pad, RandomCrop, ResizeShortSide
from models.backbones import ResNet
from models.checkpoints import load_weights
from models.concept_pixels import ConceptPixels
from models.concepts import ConceptEncoder
from models.contrastive import QueryTextContrast
from models.convnext import ConvNeXt
from models.fusion import EarlyFusion
from models.losses import PointSampling, SetCriterion
from models.mask_positions import MaskPositions
from models.pixel_decoder import PixelDecoder
from models.postprocess import AnswerRules
from models.precision import Bfloat16Convolution, Bfloat16Encoder
from models.query_decoder import QueryDecoder, QueryInitialiser
from models.retrieval import ConceptRetrieval
from models.shots import ShotExamples, ShotRecipe
from models.task_segmentation import TestSize
from models.text_encoders import BertTextEncoder
from models.tokenizers import BertTokenizer, WordTokenizer, task_words
from models.training import Trainer
from models.unified import UnifiedSegmenter
from models.unified_answers import UnifiedAnswers, task_rules
from models.unified_criterion import TextQueries, UnifiedCriterion
from models.views import ViewDraw
from models.visual_prompt import TemplateCrop
from models.vit import ViT
from models.warm_up import EncoderWarmUp, PixelRecipe

dim = 256
short_sides = list(range(480, 801, 32))

model = dict(
    type=UnifiedSegmenter,
    concept_encoder=dict(
        type=ConceptEncoder,
        text_encoder=dict(type=BertTextEncoder),
        # Needs BERT's word list: model.concept_encoder.tokenizer.vocabulary=FILE.
        tokenizer=dict(type=BertTokenizer, vocabulary=None),
        dim=dim,
        template_dim=dim,
    ),
    fusion=dict(type=EarlyFusion, prompt_dim=dim),
    pixel_decoder=dict(type=PixelDecoder, dim=dim, mask_dim=dim),
    query_decoder=dict(
        type=QueryDecoder,
        initialiser=dict(type=QueryInitialiser, dim=dim, mask_dim=dim),
        retrieval=dict(type=ConceptRetrieval, dim=dim, prompt_dim=dim),
        mask_positions=dict(type=MaskPositions, dim=dim),
        dim=dim,
        mask_dim=dim,
    ),
    criterion=dict(
        type=UnifiedCriterion,
        sets=dict(type=SetCriterion),
        text_queries=dict(type=TextQueries, text_dim=768, dim=dim, num_texts=134, num_context=16),
        contrast=dict(type=QueryTextContrast, weight=0.5),
    ),
    dim=dim,
    identity_dim=dim,
)

trainer = dict(
    type=Trainer,
    examples=ShotExamples,
    iterations=90_000,
    batch_size=16,
    learning_rate=1e-4,
    backbone_factor=0.1,
    weight_decay=0.05,
    autocast="bfloat16",
    clip_norm=0.1,
    schedule=[dict(kind=MultiStepLR, milestones=[75_000], gamma=0.1)],
    recipe=dict(
        type=ShotRecipe,
        view=dict(type=ViewDraw, short_sides=short_sides, long_cap=1333),
        whole_view=dict(type=ViewDraw, short_sides=short_sides, long_cap=1333),
        template=dict(type=TemplateCrop, is_border_lost=False),
        frame_range=10,
    ),
)

load_weights = load_weights

answers = dict(
    type=UnifiedAnswers,
    crop=dict(type=TemplateCrop, is_border_lost=False),
    picture_rules=dict(type=AnswerRules),
    rules=dict(type=task_rules, short_side=800),
    test_size=dict(type=TestSize, short_side=800, long_cap=1333),
)


def warm_cosine(warm_up: float) -> list:
    """Linear up over a share of the run, then half a cosine down to a fiftieth."""
    return [
        dict(kind=LinearLR, start_factor=0.02, begin=0.0, end=warm_up),
        dict(kind=CosineAnnealingLR, eta_min_ratio=0.02, begin=warm_up, end=1.0),
    ]


# `mini`: 128x128 scenes of the mini data, two CPU cores.
mini_dim, mini_queries, mini_context = 96, 24, 4
mini_widths = (32, 64, 128, 192)
mini_words = dict(
    type=WordTokenizer,
    length=24,
    words=dict(
        type=task_words,
        more=(
            dict(type=known_words),
            dict(type=sentence_words),
            dict(type=class_words, label_sets=("bdd100k_tracking", "youtube_vis19")),
        ),
    ),
)
mini_augmentation = dict(
    type=Chain,
    steps=(
        dict(type=ResizeShortSide, choices=list(range(112, 177, 8)), long_cap=1000),
        dict(type=RandomCrop, size=(128, 128)),
        dict(type=Pad, size=(128, 128)),
        dict(type=HorizontalFlip),
    ),
)
mini_rows = {
    "coco_panoptic_train2017": 0.22,
    "ade20k_panoptic_train": 0.06,
    "cityscapes_panoptic_train": 0.06,
    "refcoco_referring_train": 0.26,
    "grefcoco_referring_train": 0.08,
    "ref_youtube_vos_rvos_train": 0.06,
    "youtube_vis19_vis_train": 0.07,
    "bdd100k_mots_train": 0.05,
    "davis17_vos_train": 0.1,
    "lasot_sot_train": 0.04,
}

mini = dict(
    model=dict(
        backbone=dict(
            type=Bfloat16Encoder,
            encoder=dict(type=ResNet, depth=18, widths=mini_widths, stem_width=32, norm="bn"),
        ),
        concept_encoder=dict(
            text_encoder=dict(
                dim=mini_dim,
                vocabulary_size=200,
                length=24,
                num_layers=2,
                num_heads=4,
                hidden_dim=2 * mini_dim,
                dropout=0.0,
            ),
            tokenizer=mini_words,
            dim=mini_dim,
            template_dim=mini_dim,
        ),
        fusion=dict(
            dim=mini_dim, prompt_dim=mini_dim, hidden_dim=2 * mini_dim, num_heads=4, dropout=0.0, initial_scale=0.5
        ),
        pixel_decoder=dict(
            in_channels=mini_widths,
            dim=mini_dim,
            mask_dim=mini_dim,
            num_heads=4,
            num_layers=1,
            hidden_dim=2 * mini_dim,
            dropout=0.0,
            smoothing=Bfloat16Convolution,
        ),
        query_decoder=dict(
            initialiser=dict(dim=mini_dim, mask_dim=mini_dim, num_heads=4, hidden_dim=2 * mini_dim, dropout=0.0),
            retrieval=dict(dim=mini_dim, prompt_dim=mini_dim),
            mask_positions=dict(dim=mini_dim),
            num_queries=mini_queries,
            dim=mini_dim,
            mask_dim=mini_dim,
            num_heads=4,
            num_layers=3,
            hidden_dim=4 * mini_dim,
        ),
        criterion=dict(
            sets=dict(sampling=dict(type=PointSampling, num_points=256)),
            text_queries=dict(
                text_dim=mini_dim, dim=mini_dim, num_texts=mini_queries - mini_context, num_context=mini_context
            ),
            pixels=dict(
                type=ConceptPixels,
                dim=mini_dim,
                mask_dim=mini_dim,
                prompt_dim=mini_dim,
                weight=8.0,
                target_weight=4.0,
            ),
        ),
        dim=mini_dim,
        identity_dim=64,
    ),
    trainer=dict(
        iterations=6000,
        batch_size=8,
        learning_rate=1.5e-3,
        backbone_factor=0.3,
        autocast=None,
        clip_norm=1.0,
        ema_momentum=0.04,
        ema_interval=4,
        workers=0,
        save_interval=100,
        log_interval=20,
        schedule=warm_cosine(0.05),
        recipe=dict(
            view=dict(type=ViewDraw, short_sides=list(range(112, 177, 8)), long_cap=1000, window=(128, 128)),
            whole_view=dict(type=ViewDraw, short_sides=list(range(104, 129, 8)), long_cap=1000, window=(128, 128)),
            template=dict(type=TemplateCrop, size=64, factor=2.0, is_border_lost=False),
        ),
    ),
    answers=dict(
        crop=dict(size=64),
        picture_rules=dict(object_mask_threshold=0.6, overlap_threshold=0.7, top_k=100),
        rules=dict(short_side=128),
        test_size=dict(short_side=160, long_cap=1000),
    ),
    warm_up_row="coco_panoptic_train2017",
    warm_up_labels="coco_panoptic",
    warm_up=dict(
        type=EncoderWarmUp,
        trainer=dict(
            type=Trainer,
            iterations=1500,
            batch_size=16,
            learning_rate=2e-3,
            backbone_factor=1.0,
            schedule=warm_cosine(0.02),
            autocast="bfloat16",
            workers=0,
            save_interval=250,
            log_interval=50,
            recipe=dict(type=PixelRecipe, augmentation=mini_augmentation),
        ),
    ),
    trainings=[dict(label_set="any", rows=mini_rows, seconds_per_iteration=0.3)],
)

# Real data at published scale: OneFormer's pictures, UNINEXT's expressions and clips, sampled as its supplement samples
# the groups of its last stage (pictures in place of the pseudo-videos made of them).
real_rows = {
    "coco_panoptic_train2017": 0.75,
    "ade20k_panoptic_train": 0.25,
    "cityscapes_panoptic_train": 0.10,
    "refcoco_referring_train": 0.30,
    "refcoco+_referring_train": 0.30,
    "refcocog_referring_train": 0.30,
    "ref_youtube_vos_rvos_train": 0.33,
    "youtube_vis19_vis_train": 0.34,
    "ovis_vis_train": 0.17,
    "bdd100k_mot_train": 0.72,
    "bdd100k_mots_train": 0.08,
    "got10k_sot_train": 0.2,
    "lasot_sot_train": 0.2,
    "trackingnet_sot_train": 0.2,
    "youtube_vos18_vos_train": 0.4,
}


def published(backbone: dict, channels: tuple, **trainer: object) -> dict:
    """A variant for real data. channels: of the encoder's maps at strides 4 to 32."""
    return dict(
        model=dict(backbone=backbone, pixel_decoder=dict(in_channels=channels)),
        trainer=trainer,
        trainings=[dict(label_set="any", rows=real_rows)],
    )


variants = dict(
    mini=mini,
    r50=published(dict(type=ResNet, depth=50, norm="frozen_bn"), (256, 512, 1024, 2048)),
    convnext_l=published(dict(type=ConvNeXt), (192, 384, 768, 1536), decay_backbone_norms=True),
    vit_h=published(dict(type=ViT, has_finest=True), (320, 640, 1280, 1280)),
)
