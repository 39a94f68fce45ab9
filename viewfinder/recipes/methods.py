"""The table of named methods: each a row of data over the five parts, none a subclass.

``settings`` is laid over the recipe's defaults, so a row says only what makes the method itself;
every value can be overridden (``viewfinder pretrain moco positives=labels``). The rows are set for
runs of minutes: where a paper's setting is for hundreds of epochs (temperature, crop, momentum of
the target), the row has what short runs do better with, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Method:
    """A row: what it is in a line, where it comes from, and its settings by part."""

    summary: str
    source: str
    settings: Mapping[str, Any]


METHODS: dict[str, Method] = {
    "simclr": Method(
        "two views of an image agree; every other image of the batch is a negative",
        "Chen et al. 2020",
        {
            "batch_size": 64,  # paper: 256 to 8192; in few epochs more steps count for more
            "optimizer": {"lr": 0.004},
            "views": {"preset": "simclr", "crop_scale": [0.25, 1.0]},  # paper: 0.08 to 1
            "objective": {"name": "nt_xent", "temperature": 0.2},  # paper: 0.5 on CIFAR-10
        },
    ),
    "supcon": Method(
        "all views of all images of a class agree",
        "Khosla et al. 2020",
        {
            "views": {"preset": "simclr"},
            "positives": {"name": "labels"},
            "objective": {"name": "supcon", "temperature": 0.1},
        },
    ),
    "ci-infonce": Method(
        "images of one cluster agree; the clusters come from side information",
        "Tsai et al. 2021",
        {
            "views": {"preset": "simclr", "crop_scale": [0.4, 1.0]},  # as the authors' code
            "positives": {"name": "attributes", "top_k": 4},
            "objective": {"name": "supcon", "temperature": 0.1},
        },
    ),
    "pcl": Method(
        "MoCo, and the contrast of an image with the centroids of its k-means clusters",
        "Li et al. 2021",
        {
            "views": {"preset": "moco2"},
            "positives": {"name": "kmeans", "k": [100, 200, 400], "start": 1},
            "negatives": {"name": "queue", "size": 4096},
            "objective": {"name": "pcl", "temperature": 0.2},
            "target": {
                "name": "momentum",
                "momentum": 0.99,
                "final_momentum": 0.99,
            },  # paper: 0.999
        },
    ),
    "swav": Method(
        "a view predicts the prototypes that another was assigned, all used alike",
        "Caron et al. 2020",
        {
            "views": {
                "preset": "simclr",
                "crop_scale": [0.25, 1.0],
                "small_count": 2,
            },  # paper: 0.14 to 1, small ones 0.05 to 0.14
            "negatives": {"name": "none"},
            "objective": {"name": "swav", "prototypes": 100},  # paper: 3000 for 1000 classes
        },
    ),
    "carl": Method(
        "two views are assigned to the same of learned prototypes, all used alike",
        "Silva and Ramírez Rivera 2021",
        {
            "views": {"preset": "simclr", "crop_scale": [0.25, 1.0]},
            "negatives": {"name": "none"},
            "objective": {
                "name": "carl",
                "prototypes": 100,
                "weight": 4.0,
                "final_weight": 1.5,
            },
            "head": {"projector": [512, 512, 128]},
            "target": {"name": "detached"},  # figure 1: no gradient into the positive
        },
    ),
    "dino": Method(
        "a student predicts the centred and sharpened output of its momentum teacher",
        "Caron et al. 2021",
        {
            "views": {"preset": "byol", "crop_scale": [0.4, 1.0], "small_count": 2},
            "negatives": {"name": "none"},
            "objective": {"name": "dino", "prototypes": 256},  # paper: 65536
            "head": {"projector": [512, 512, 128]},
            "target": {"name": "momentum", "momentum": 0.99, "final_momentum": 1.0},  # paper: 0.996
        },
    ),
    "moco": Method(
        "v2: a momentum encoder makes the keys, a queue of them the negatives",
        "He et al. 2020; Chen et al. 2020",
        {
            "views": {"preset": "moco2"},
            "negatives": {"name": "queue", "size": 4096},
            "objective": {"name": "info_nce", "temperature": 0.2},
            "target": {
                "name": "momentum",
                "momentum": 0.99,
                "final_momentum": 0.99,
            },  # paper: 0.999
        },
    ),
    "byol": Method(
        "a predictor guesses the momentum encoder's projection of the other view; no negatives",
        "Grill et al. 2020",
        {
            "views": {"preset": "byol", "crop_scale": [0.25, 1.0]},  # paper: 0.08 to 1
            "negatives": {"name": "none"},
            "objective": {"name": "cosine"},
            "head": {"predictor": [256, 128]},
            "target": {"name": "momentum", "momentum": 0.99, "final_momentum": 1.0},  # paper: 0.996
        },
    ),
    "simsiam": Method(
        "a predictor guesses the other view's projection, which gets no gradient",
        "Chen and He 2021",
        {
            "views": {"preset": "simclr", "crop_scale": [0.25, 1.0]},
            "negatives": {"name": "none"},
            "objective": {"name": "cosine", "form": "negative_cosine"},
            "head": {"predictor": [256, 128]},
            "target": {"name": "detached"},
        },
    ),
    "barlow-twins": Method(
        "the two views' dimensions correlate one with one, and with no other",
        "Zbontar et al. 2021",
        {
            "views": {"preset": "byol", "crop_scale": [0.25, 1.0]},
            "negatives": {"name": "none"},
            "objective": {"name": "barlow_twins"},
            "head": {"projector": [512, 512]},
        },
    ),
    "vicreg": Method(
        "views agree, every dimension varies, and no two dimensions say the same",
        "Bardes et al. 2022",
        {
            "views": {"preset": "byol", "crop_scale": [0.25, 1.0]},
            "negatives": {"name": "none"},
            "objective": {"name": "vicreg"},
            "head": {"projector": [512, 512]},
        },
    ),
    "cross-entropy": Method(
        "plain supervised classification, the baseline with labels",
        "-",
        {
            "views": {"preset": "supervised", "count": 1},
            "positives": {"name": "labels"},
            "negatives": {"name": "none"},
            "objective": {"name": "cross_entropy"},
        },
    ),
}
