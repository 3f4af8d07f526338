"""Which row has which archive: by data set and task where a server says so, by task for all others.

A row without a server is archived as its data set's relatives are, so that results of any row can be handed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from benchmark.contract import Task
from benchmark.row import Benchmark
from leaderboards import (
    frame_folders,
    instance_texts,
    label_pngs,
    panoptic_files,
    result_folders,
    result_lists,
    track_texts,
)
from leaderboards.forms import Form

BY_DATASET: Mapping[tuple[str, Task], Form] = MappingProxyType(
    {
        ("coco", Task.DETECTION): result_lists.COCO,
        ("coco", Task.INSTANCE): result_lists.COCO,
        ("coco", Task.PANOPTIC): panoptic_files.COCO,
        ("coco", Task.SEMANTIC): label_pngs.COCO_MAPS,
        ("cityscapes", Task.INSTANCE): instance_texts.CITYSCAPES,
        ("cityscapes", Task.SEMANTIC): label_pngs.CITYSCAPES,
        ("lvis", Task.DETECTION): result_lists.LVIS,
        ("lvis", Task.INSTANCE): result_lists.LVIS,
        ("openimages", Task.DETECTION): result_lists.TABLE,
        ("openimages", Task.INSTANCE): result_lists.TABLE,
        ("odinw", Task.DETECTION): result_folders.COLLECTION,
        ("seginw", Task.INSTANCE): result_folders.SEGINW,
        ("bdd100k", Task.INSTANCE): instance_texts.BDD100K,
        ("mapillary", Task.INSTANCE): instance_texts.MAPILLARY,
        ("pascal_context", Task.SEMANTIC): label_pngs.WIDE,
        ("bdd100k", Task.SEMANTIC): label_pngs.BDD100K,
        ("bdd100k", Task.PANOPTIC): label_pngs.BDD100K_PANOPTIC,
        ("bdd100k", Task.MOT): result_folders.BOX_TRACKS,
        ("bdd100k", Task.MOTS): frame_folders.BITMASKS,
        ("davis17", Task.VOS): frame_folders.DAVIS,
        ("davis17_unsupervised", Task.VOS): frame_folders.PROPOSALS,
        ("youtube_vos18", Task.VOS): frame_folders.YOUTUBE_VOS,
        ("youtube_vos19", Task.VOS): frame_folders.YOUTUBE_VOS,
        ("lvos_v1", Task.VOS): frame_folders.LVOS,
        ("lvos_v2", Task.VOS): frame_folders.LVOS,
        ("sav", Task.VOS): frame_folders.OWN_FOLDERS,
        ("ref_davis17", Task.RVOS): frame_folders.LISTS,
        ("a2d_sentences", Task.RVOS): result_lists.ONE_LIST,
        ("jhmdb_sentences", Task.RVOS): result_lists.ONE_LIST,
        ("ref_youtube_vos", Task.RVOS): frame_folders.REF_YOUTUBE_VOS,
        ("revos", Task.RVOS): frame_folders.NAMED_EXPRESSIONS,
        ("reasonvos", Task.RVOS): frame_folders.NAMED_EXPRESSIONS,
        ("tao", Task.MOT): result_lists.TAO,
        ("kitti", Task.MOTS): track_texts.KITTI_MOTS,
        ("motschallenge", Task.MOTS): track_texts.MOTS_CHALLENGE,
        ("trackingnet", Task.SOT): track_texts.TRACKINGNET,
        ("got10k", Task.SOT): track_texts.GOT10K,
        ("phrasecut", Task.REFERRING): label_pngs.MASK_OF_EACH,
        ("saco_gold", Task.REFERRING): result_lists.ONE_LIST,
    }
)
BY_TASK: Mapping[Task, Form] = MappingProxyType(
    {
        Task.SEMANTIC: label_pngs.ADE20K,
        Task.INSTANCE: result_lists.ONE_LIST,
        Task.PANOPTIC: panoptic_files.FREE,
        Task.DETECTION: result_lists.ONE_LIST,
        Task.REFERRING: result_lists.ANSWERS,
        Task.GROUNDING: result_lists.ANSWERS,
        Task.SOT: track_texts.SINGLE_OBJECT,
        Task.VOS: frame_folders.MOSE,
        Task.MOT: track_texts.MOT,
        Task.MOTS: track_texts.KITTI_MOTS,
        Task.VIS: result_lists.VIDEO_INSTANCES,
        Task.RVOS: frame_folders.MEVIS,
    }
)


def form_of(row: Benchmark) -> Form:
    """The archive of a row."""
    return BY_DATASET.get((row.dataset, row.task), BY_TASK[row.task])
