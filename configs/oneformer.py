"""OneFormer (Jain et al., CVPR 2023, arXiv 2211.06220): one model for semantic, instance and panoptic segmentation.

    python benchmark/run.py --system oneformer:swin_l_coco --checkpoint FILE --data-root DIR --suite image

The class head is closed, so every label set has its own training. Numbers are those of the authors' code
(SHI-Labs/OneFormer, commit 4962ef6); the expected result of each variant stands in reports/published.csv. Gradient
clipping is off, as it was in effect when the released weights were made. `mini` is sized for two CPU cores.
"""

from mmengine.optim import CosineAnnealingLR, LinearLR, MultiStepLR, PolyLR

from benchmark.minidata.naming import known_words
from models.augmentation import (
    Chain,
    ColourJitter,
    HorizontalFlip,
    LargeScaleJitter,
    Pad,
    RandomCrop,
    ResizeShortSide,
)
from models.backbones import ResNet
from models.checkpoints import load_weights
from models.contrastive import QueryTextContrast
from models.convnext import ConvNeXt
from models.dinat import DiNAT
from models.losses import PointSampling, SetCriterion
from models.pixel_decoder import PixelDecoder
from models.pixel_supervision import PixelSupervision
from models.postprocess import AnswerRules
from models.precision import Bfloat16Convolution, Bfloat16Encoder
from models.query_decoder import QueryDecoder, QueryInitialiser
from models.recent import RecentResults
from models.swin import Swin
from models.targets import JointTaskRecipe
from models.task_segmentation import TestSize, UniversalSegmenter
from models.task_tokens import TaskEncoder, TextList
from models.text_encoders import CausalTextEncoder, TextMapper
from models.tokenizers import ClipTokenizer, WordTokenizer
from models.training import Trainer
from models.tta import ScalesAndFlips
from models.warm_up import EncoderWarmUp, PixelRecipe

dim = 256
num_context = 16

model = dict(
    type=UniversalSegmenter,
    pixel_decoder=dict(type=PixelDecoder, dim=dim, mask_dim=dim),
    task_encoder=dict(type=TaskEncoder, dim=dim),
    query_decoder=dict(
        type=QueryDecoder, initialiser=dict(type=QueryInitialiser, dim=dim, mask_dim=dim), dim=dim, mask_dim=dim
    ),
    # Task sentences are built in; training needs CLIP's merge list (trainer.recipe.text_list.tokenizer.merges=FILE).
    tokenizer=dict(type=ClipTokenizer),
    text_mapper=dict(type=TextMapper, encoder=dict(type=CausalTextEncoder, dim=dim), dim=dim, num_context=num_context),
    criterion=dict(type=SetCriterion, query_loss=dict(type=QueryTextContrast, weight=0.5)),
    rules=dict(type=AnswerRules),
)

trainer = dict(
    type=Trainer,
    iterations=160_000,
    batch_size=16,
    learning_rate=1e-4,
    backbone_factor=0.1,
    weight_decay=0.05,
    autocast="float16",
    recipe=dict(
        type=JointTaskRecipe,
        augmentation=dict(type=Chain),
        text_list=dict(type=TextList, tokenizer=dict(type=ClipTokenizer, merges=None)),
    ),
)

load_weights = load_weights


# Schedules, as rows of MMEngine parameter schedulers.


poly = [dict(kind=PolyLR, power=0.9, eta_min=0.0, begin=0.0, end=1.0)]
"""Down to zero over the run."""


def steps(*milestones: int) -> list:
    """A tenth after each milestone."""
    return [dict(kind=MultiStepLR, milestones=list(milestones), gamma=0.1)]


def warm_cosine(warm_up: float) -> list:
    """Linear up over a share of the run, then half a cosine down to a fiftieth."""
    return [
        dict(kind=LinearLR, start_factor=0.02, begin=0.0, end=warm_up),
        dict(kind=CosineAnnealingLR, eta_min_ratio=0.02, begin=warm_up, end=1.0),
    ]


# Label sets: which rows they train on, how their answers are read off, at what size, with what augmentation.


def scale_and_crop(base: int, crop: tuple, *padding: dict) -> dict:
    """Short side 0.5 to 2 times `base`, a crop, colours, a mirror image."""
    choices = [int(0.1 * x * base) for x in range(5, 21)]
    chain = [dict(type=ResizeShortSide, choices=choices, long_cap=4 * base), dict(type=RandomCrop, size=crop)]
    return dict(type=Chain, steps=(*chain, dict(type=ColourJitter), dict(type=HorizontalFlip), *padding))


def ade20k(base: int) -> dict:
    """ADE20K at a crop and test size of `base`."""
    pad = dict(type=Pad, size=(base, base))
    return dict(
        label_set="ade20k",
        rows={"ade20k_panoptic_train": 1.0},
        num_classes=150,
        object_mask_threshold=0.5,
        test_size=dict(type=TestSize, short_side=base, long_cap=4 * base),
        iterations=160_000,
        schedule=poly,
        recipe=dict(augmentation=scale_and_crop(base, (base, base), pad)),
    )


cityscapes = dict(
    label_set="cityscapes",
    rows={"cityscapes_panoptic_train": 1.0},
    num_classes=19,
    object_mask_threshold=0.8,
    test_size=dict(type=TestSize, short_side=1024, long_cap=2048),
    iterations=90_000,
    schedule=poly,
    recipe=dict(augmentation=scale_and_crop(1024, (512, 1024))),
)


def coco(iterations: int, *milestones: int) -> dict:
    """COCO with large-scale jitter."""
    jitter = (dict(type=HorizontalFlip), dict(type=LargeScaleJitter, size=(1024, 1024)))
    return dict(
        label_set="coco_panoptic",
        rows={"coco_panoptic_train2017": 1.0},
        num_classes=133,
        object_mask_threshold=0.8,
        test_size=dict(type=TestSize, short_side=800, long_cap=1333),
        iterations=iterations,
        schedule=steps(*milestones),
        recipe=dict(augmentation=dict(type=Chain, steps=jitter), needs_things=True),
    )


coco_50_epochs = coco(368_750, 327_778, 355_092)

# Encoders, with the widths of their maps.
tiny, large, xlarge = (96, 192, 384, 768), (192, 384, 768, 1536), (256, 512, 1024, 2048)
r50 = (dict(type=ResNet, depth=50, norm="frozen_bn"), xlarge)
r50_sync = (dict(type=ResNet, depth=50, norm="sync_bn"), xlarge)
swin_t = (dict(type=Swin), tiny)
swin_l = (dict(type=Swin, width=192, depths=(2, 2, 18, 2), num_heads=(6, 12, 24, 48), window_size=12), large)
convnext_l = (dict(type=ConvNeXt), large)
convnext_xl = (dict(type=ConvNeXt, widths=xlarge), xlarge)


def dinat_l(kernel: int, *dilations: tuple) -> tuple:
    """DiNAT-L; its dilations follow the size it is trained at."""
    return dict(type=DiNAT, kernel=kernel, dilations=dilations), large


one_two = (1, 2, 1, 2, 1)
dinat = dinat_l(11, (1, 20, 1), (1, 5, 1, 10), (1, 2, 1, 3, 1, 4, 1, 5, 1, 2, 1, 3, 1, 4, 1, 5, 1, 5), one_two)
dinat_1280 = dinat_l(
    11, (1, 28, 1), (1, 7, 1, 14), (1, 3, 1, 5, 1, 5, 1, 7, 1, 3, 1, 5, 1, 5, 1, 7, 1, 7), (1, 3, 1, 3, 1)
)
dinat_k7 = dinat_l(7, (1, 18, 1), (1, 5, 1, 9), (1, 2, 1, 3, 1, 4, 1, 2, 1, 3, 1, 4, 1, 2, 1, 3, 1, 4), one_two)


def variant(data: dict, encoder: tuple, num_queries: int = 250, **trainer: object) -> dict:
    """A row of the model zoo. trainer: further differences of the trainer."""
    backbone, channels = encoder
    texts = dict(num_texts=num_queries - num_context)
    return dict(
        model=dict(
            backbone=backbone,
            pixel_decoder=dict(in_channels=channels),
            query_decoder=dict(num_queries=num_queries, num_classes=data["num_classes"]),
            rules=dict(object_mask_threshold=data["object_mask_threshold"]),
            test_size=data["test_size"],
        ),
        trainer=dict(
            iterations=data["iterations"],
            schedule=data["schedule"],
            recipe=dict(data["recipe"], text_list=texts),
            **trainer,
        ),
        trainings=[dict(label_set=data["label_set"], rows=data["rows"])],
    )


def averaged(row: dict, sides: list, long_cap: int) -> dict:
    """The same weights with test-time augmentation of semantic answers."""
    tta = dict(type=ScalesAndFlips, short_sides=sides, long_cap=long_cap)
    return dict(row, model=dict(row["model"], tta=tta))


# `mini`: 128x128 scenes of the mini data, two CPU cores. ADE20K and Cityscapes start from the COCO weights, as the
# published COCO-pretrained variant does.
mini_dim, mini_queries, mini_context = 96, 24, 4
mini_widths = (32, 64, 128, 192)
mini_augmentation = dict(
    type=Chain,
    steps=(
        dict(type=ResizeShortSide, choices=list(range(112, 177, 8)), long_cap=1000),
        dict(type=RandomCrop, size=(128, 128)),
        dict(type=Pad, size=(128, 128)),
        dict(type=HorizontalFlip),
    ),
)
mini_words = dict(type=WordTokenizer, words=dict(type=known_words), length=8)


def mini_training(
    label_set: str, row: str, num_classes: int, iterations: int, seconds_per_iteration: float, **source: str
) -> dict:
    """One label set of `mini`. seconds_per_iteration: for the plan's estimate, on two cores, warm-up included."""
    return dict(
        label_set=label_set,
        rows={row: 1.0},
        seconds_per_iteration=seconds_per_iteration,
        model=dict(query_decoder=dict(num_classes=num_classes), pixel_supervision=dict(num_classes=num_classes)),
        trainer=dict(iterations=iterations, schedule=warm_cosine(0.05)),
        **source,
    )


mini = dict(
    model=dict(
        backbone=dict(
            type=Bfloat16Encoder,
            encoder=dict(type=ResNet, depth=18, widths=mini_widths, stem_width=32, norm="bn"),
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
        task_encoder=dict(length=8, dim=mini_dim),
        query_decoder=dict(
            initialiser=dict(dim=mini_dim, mask_dim=mini_dim, num_heads=4, hidden_dim=2 * mini_dim, dropout=0.0),
            num_queries=mini_queries,
            dim=mini_dim,
            mask_dim=mini_dim,
            num_heads=4,
            num_layers=3,
            hidden_dim=4 * mini_dim,
        ),
        # The task sentences keep CLIP's ids: they lie further apart than those of a short word list.
        tokenizer=dict(length=8),
        text_mapper=dict(
            encoder=dict(dim=64, vocabulary_size=109, length=8, num_layers=2, num_heads=2),
            dim=mini_dim,
            num_context=mini_context,
        ),
        criterion=dict(sampling=dict(type=PointSampling, num_points=256)),
        pixel_supervision=dict(type=PixelSupervision, dim=mini_dim, mask_dim=mini_dim, weight=8.0, thing_weight=4.0),
        rules=dict(object_mask_threshold=0.6, overlap_threshold=0.7, top_k=100),
        # Larger than in training on the whole: what is cut out of an enlarged image looks larger than what is tested.
        test_size=dict(type=TestSize, short_side=160, long_cap=1000),
        # Holds the 200 validation scenes under the three task sentences, which nine rows and cells of the matrix share.
        recent=dict(type=RecentResults, max_bytes=320 * 2**20),
    ),
    trainer=dict(
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
        recipe=dict(
            augmentation=mini_augmentation,
            text_list=dict(tokenizer=mini_words, num_texts=mini_queries - mini_context),
        ),
    ),
    # No encoder is pre-trained for these scenes: it first learns their classes pixel by pixel.
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
    trainings=[
        mini_training("coco_panoptic", "coco_panoptic_train2017", 133, 2300, 0.2),
        mini_training("ade20k", "ade20k_panoptic_train", 150, 150, 0.2, start_from="coco_panoptic"),
        mini_training("cityscapes", "cityscapes_panoptic_train", 19, 100, 0.2, start_from="coco_panoptic"),
    ],
)

# The authors switch mixed precision off for DiNAT and for the large COCO encoders.
fp32: dict = dict(autocast=None)
decayed: dict = dict(decay_backbone_norms=True)
swin_l_ade20k_640 = variant(ade20k(640), swin_l)
swin_l_cityscapes = variant(cityscapes, swin_l)

variants = dict(
    mini=mini,
    r50_ade20k=variant(ade20k(512), r50, 150),
    swin_t_ade20k=variant(ade20k(512), swin_t, 150),
    swin_l_ade20k_640=swin_l_ade20k_640,
    swin_l_ade20k_640_ms=averaged(swin_l_ade20k_640, [320, 480, 640, 800, 960, 1120], 4480),
    swin_l_ade20k_896=variant(ade20k(896), swin_l),
    swin_l_ade20k_1280=variant(ade20k(1280), swin_l),
    convnext_l_ade20k=variant(ade20k(640), convnext_l, **decayed),
    convnext_xl_ade20k=variant(ade20k(640), convnext_xl, **decayed),
    dinat_l_ade20k_640=variant(ade20k(640), dinat, **fp32),
    dinat_l_ade20k_896=variant(ade20k(896), dinat, **fp32),
    dinat_l_ade20k_1280=variant(ade20k(1280), dinat_1280, **fp32),
    # Starts from the COCO weights (--checkpoint of dinat_l_coco with another class head).
    dinat_l_ade20k_1280_coco=variant(ade20k(1280), dinat_1280, 150, **fp32),
    r50_cityscapes=variant(cityscapes, r50_sync, 150),
    swin_t_cityscapes=variant(cityscapes, swin_t, 150),
    swin_l_cityscapes=swin_l_cityscapes,
    swin_l_cityscapes_ms=averaged(swin_l_cityscapes, [512, 768, 1024, 1280, 1536, 1792], 4096),
    convnext_l_cityscapes=variant(cityscapes, convnext_l, **decayed),
    convnext_xl_cityscapes=variant(cityscapes, convnext_xl, **decayed),
    dinat_l_cityscapes=variant(cityscapes, dinat_k7, **fp32),
    r50_coco=variant(coco_50_epochs, r50, 150),
    swin_t_coco=variant(coco_50_epochs, swin_t, 150),
    swin_l_coco=variant(coco(737_500, 655_556, 735_184), swin_l, 150, **fp32),
    dinat_l_coco=variant(coco(737_500, 655_556, 710_184), dinat, 150, **fp32),
)
