"""Which benchmark rows a suite has, and what else it runs. Literal data, read without importing anything.

benchmarks: rows of the catalogue, in the order of the tables.
matrix: label sets whose weights are also asked under the other tasks' sentences.
baselines: trivial baselines that stand beside the system where the mini data are used.
limit: samples a row; None for all. options: `system:variant` -> `key=value` settings, as with --cfg-options.
"""

suites = {
    "full": {
        "benchmarks": [
            "coco_panoptic_val2017",
            "coco_instance_val2017",
            "coco_semantic_val2017",
            "ade20k_panoptic_val",
            "ade20k_instance_val",
            "ade20k_semantic_val",
            "cityscapes_panoptic_val",
            "cityscapes_instance_val",
            "cityscapes_semantic_val",
        ],
        "matrix": ["coco_panoptic"],
        "baselines": ["colour_clusters", "most_frequent_class"],
    },
    "image": {
        "benchmarks": [
            "coco_panoptic_val2017",
            "coco_instance_val2017",
            "coco_semantic_val2017",
            "ade20k_panoptic_val",
            "ade20k_instance_val",
            "ade20k_semantic_val",
            "cityscapes_panoptic_val",
            "cityscapes_instance_val",
            "cityscapes_semantic_val",
        ],
        "matrix": ["coco_panoptic"],
        "baselines": ["colour_clusters", "most_frequent_class"],
    },
    # A few minutes of training, for the gate of a change: far from what `full` reaches; it falls when training breaks.
    "gate": {
        "benchmarks": ["coco_panoptic_val2017", "coco_instance_val2017", "coco_semantic_val2017"],
        "options": {"oneformer:mini": ["trainer.iterations=300", "warm_up.trainer.iterations=400"]},
    },
    "referring": {
        "benchmarks": [
            "refcoco_referring_val",
            "refcoco+_referring_val",
            "refcocog_referring_val",
            "grefcoco_referring_val",
        ],
    },
    "video": {
        "benchmarks": [
            "davis17_vos_val",
            "youtube_vos18_vos_val",
            "lasot_sot_test",
            "got10k_sot_val",
            "youtube_vis19_vis_val",
            "bdd100k_mot_val",
            "bdd100k_mots_val",
            "ref_youtube_vos_rvos_val",
            "ref_davis17_rvos_val",
        ],
    },
    "smoke": {
        "benchmarks": ["coco_panoptic_val2017", "coco_instance_val2017", "coco_semantic_val2017"],
        "matrix": [],
        "baselines": ["most_frequent_class"],
        "limit": 8,
        "options": {"oneformer:mini": ["trainer.iterations=20", "warm_up.trainer.iterations=20"]},
    },
}
