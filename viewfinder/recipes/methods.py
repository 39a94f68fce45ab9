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

from viewfinder.core.table import Row, Table
from viewfinder.data.domain import Modality


@dataclass(frozen=True, kw_only=True)
class Method(Row):
    """A row of the table of methods: its settings, by part of a recipe.

    modality  of the data that these settings are for
    """

    settings: Mapping[str, Any]
    modality: Modality = "images"


METHODS = Table(
    "method",
    [
        Method(
            name="simclr",
            summary="two views of an image agree; every other image of the batch is a negative",
            paper="Chen et al. 2020",
            settings={
                "batch_size": 64,  # paper: 256 to 8192; in few epochs more steps count for more
                "optimizer": {"lr": 0.004},
                "views": {"preset": "simclr", "crop_scale": [0.25, 1.0]},  # paper: 0.08 to 1
                "objective": {"name": "nt-xent", "temperature": 0.2},  # paper: 0.5 on CIFAR-10
            },
        ),
        Method(
            name="supcon",
            summary="all views of all images of a class agree",
            paper="Khosla et al. 2020",
            settings={
                "views": {"preset": "simclr"},
                "positives": {"name": "labels"},
                "objective": {"name": "supcon", "temperature": 0.1},
            },
        ),
        Method(
            name="ci-infonce",
            summary="pairs drawn from one cluster agree; the clusters come from side information",
            paper="Tsai et al. 2021, equation 1",
            settings={
                "views": {"preset": "simclr", "crop_scale": [0.4, 1.0]},  # as the authors' code
                "positives": {"name": "attributes", "top_k": 4, "sampler": "clusters"},
                "objective": {"name": "ci-infonce", "temperature": 0.1},
            },
        ),
        Method(
            name="ci-infonce-batch",
            summary="all images of a cluster that a batch holds agree, as the authors' code has it",
            paper="Tsai et al. 2021; Khosla et al. 2020",
            settings={
                "views": {"preset": "simclr", "crop_scale": [0.4, 1.0]},  # as the authors' code
                "positives": {"name": "attributes", "top_k": 4},
                "objective": {"name": "supcon", "temperature": 0.1},
            },
        ),
        Method(
            name="pcl",
            summary="MoCo, and the contrast of an image with the centroids of its k-means clusters",
            paper="Li et al. 2021",
            settings={
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
        Method(
            name="swav",
            summary="a view predicts the prototypes that another was assigned, all used alike",
            paper="Caron et al. 2020",
            settings={
                "views": {
                    "preset": "simclr",
                    "crop_scale": [0.25, 1.0],
                    "small_count": 2,
                },  # paper: 0.14 to 1, small ones 0.05 to 0.14
                "negatives": {"name": "none"},
                "objective": {"name": "swav", "prototypes": 100},  # paper: 3000 for 1000 classes
            },
        ),
        Method(
            name="carl",
            summary="two views are assigned to the same of learned prototypes, all used alike",
            paper="Silva and Ramírez Rivera 2021",
            settings={
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
        Method(
            name="dino",
            summary="a student predicts the centred and sharpened output of its momentum teacher",
            paper="Caron et al. 2021",
            settings={
                "views": {"preset": "byol", "crop_scale": [0.4, 1.0], "small_count": 2},
                "negatives": {"name": "none"},
                "objective": {"name": "dino", "prototypes": 256},  # paper: 65536
                "head": {"projector": [512, 512, 128]},
                "target": {
                    "name": "momentum",
                    "momentum": 0.99,
                    "final_momentum": 1.0,
                },  # paper: 0.996
            },
        ),
        Method(
            name="moco",
            summary="v2: a momentum encoder makes the keys, a queue of them the negatives",
            paper="He et al. 2020; Chen et al. 2020",
            settings={
                "views": {"preset": "moco2"},
                "negatives": {"name": "queue", "size": 4096},
                "objective": {"name": "info-nce", "temperature": 0.2},
                "target": {
                    "name": "momentum",
                    "momentum": 0.99,
                    "final_momentum": 0.99,
                },  # paper: 0.999
            },
        ),
        Method(
            name="byol",
            summary="a predictor guesses the momentum encoder's projection of the other view",
            paper="Grill et al. 2020",
            settings={
                "views": {"preset": "byol", "crop_scale": [0.25, 1.0]},  # paper: 0.08 to 1
                "negatives": {"name": "none"},
                "objective": {"name": "cosine"},
                "head": {"predictor": [256, 128]},
                "target": {
                    "name": "momentum",
                    "momentum": 0.99,
                    "final_momentum": 1.0,
                },  # paper: 0.996
            },
        ),
        Method(
            name="simsiam",
            summary="a predictor guesses the other view's projection, which gets no gradient",
            paper="Chen and He 2021",
            settings={
                "views": {"preset": "simclr", "crop_scale": [0.25, 1.0]},
                "negatives": {"name": "none"},
                "objective": {"name": "cosine", "form": "negative_cosine"},
                "head": {"predictor": [256, 128]},
                "target": {"name": "detached"},
            },
        ),
        Method(
            name="barlow-twins",
            summary="the two views' dimensions correlate one with one, and with no other",
            paper="Zbontar et al. 2021",
            settings={
                "views": {"preset": "byol", "crop_scale": [0.25, 1.0]},
                "negatives": {"name": "none"},
                "objective": {"name": "barlow-twins"},
                "head": {"projector": [512, 512]},
            },
        ),
        Method(
            name="vicreg",
            summary="views agree, every dimension varies, and no two dimensions say the same",
            paper="Bardes et al. 2022",
            settings={
                "views": {"preset": "byol", "crop_scale": [0.25, 1.0]},
                "negatives": {"name": "none"},
                "objective": {"name": "vicreg"},
                "head": {"projector": [512, 512]},
            },
        ),
        Method(
            name="instdis",
            summary="an image is told from all others by a memory of one vector per image",
            paper="Wu et al. 2018",
            settings={
                "views": {"preset": "moco", "count": 1},
                "negatives": {"name": "bank", "size": 4096, "alpha": 0.5},
                "objective": {"name": "info-nce", "temperature": 0.07},
                "target": {"name": "bank"},
            },
        ),
        Method(
            name="ball",
            summary="instance discrimination against the nearest images of the memory alone",
            paper="VINCE, Wu et al. 2020, definition 5.2",
            settings={
                "views": {"preset": "moco", "count": 1},
                "negatives": {"name": "ball", "size": 256, "start": 1},  # paper: 4096 of a million
                "objective": {"name": "info-nce", "temperature": 0.07},
                "target": {"name": "bank"},
            },
        ),
        Method(
            name="annulus",
            summary="ball discrimination without the images that are in the query's own clusters",
            paper="VINCE, Wu et al. 2020, definition 5.3",
            settings={
                "views": {"preset": "moco", "count": 1},
                "positives": {"name": "kmeans", "k": [100, 100, 100], "start": 1},
                "negatives": {"name": "annulus", "size": 256, "start": 1},
                "objective": {"name": "la", "temperature": 0.07},
                "target": {"name": "bank"},
            },
        ),
        Method(
            name="la-simple",
            summary="local aggregation with no close neighbour but the image, which is ball",
            paper="VINCE, Wu et al. 2020, theorem 5.4",
            settings={
                "views": {"preset": "moco", "count": 1},
                "negatives": {"name": "ball", "size": 256, "start": 1},
                "objective": {"name": "la", "temperature": 0.07},
                "target": {"name": "bank"},
            },
        ),
        Method(
            name="la",
            summary="an image and those of its clusters, together, are told from its neighbours",
            paper="Zhuang et al. 2019; VINCE, Wu et al. 2020, equation 8",
            settings={
                "views": {"preset": "moco", "count": 1},
                # VINCE: ten times 30000 clusters of a million images, after ten epochs
                "positives": {"name": "kmeans", "k": [100, 100, 100], "start": 1},
                "negatives": {"name": "ball", "size": 256, "start": 1},
                "objective": {"name": "la", "temperature": 0.07},
                "target": {"name": "bank"},
            },
        ),
        Method(
            name="dim",
            summary="an image's vector is told from others by the image it was made of",
            paper="Hjelm et al. 2019; VINCE, Wu et al. 2020, section 5.2",
            settings={
                "views": {"steps": [{"crop": [0.25, 1.0]}, "flip", "normalise"], "count": 1},
                "objective": {"name": "dim"},
            },
        ),
        Method(
            name="ldim",
            summary="an image's vector is told from others by each place of a map of that image",
            paper="Hjelm et al. 2019; VINCE, Wu et al. 2020, section 5.2",
            settings={
                "views": {"steps": [{"crop": [0.25, 1.0]}, "flip", "normalise"], "count": 1},
                "objective": {"name": "ldim"},
            },
        ),
        Method(
            name="vince-plus",
            summary="instance discrimination against draws that learn to be hard",
            paper="VINCE, Wu et al. 2020, appendix C, repaired",
            settings={
                "views": {"preset": "moco", "count": 1},
                "negatives": {"name": "learned", "draws": 1024, "start": 1},
                "objective": {"name": "vince-plus", "temperature": 0.07},
                "target": {"name": "bank"},
            },
        ),
        Method(
            name="cmc",
            summary="an image's luminance is told from the memory of its colours, and the reverse",
            paper="Tian et al. 2020",
            settings={
                "views": {
                    "steps": [{"crop": [0.2, 1.0]}, "flip", "lab"],
                    "split": {"channels": 1},
                },
                "negatives": {"name": "bank", "size": 4096, "alpha": 0.5},
                "objective": {"name": "info-nce", "temperature": 0.07, "pairs": "across"},
                "target": {"name": "bank"},
            },
        ),
        Method(
            name="pirl",
            summary="an image and its jigsaw are both told from the memory of all other images",
            paper="Misra and van der Maaten 2020",
            settings={
                "views": {"preset": "moco", "count": 1, "split": {"jigsaw": {"weight": 0.5}}},
                "negatives": {"name": "bank", "size": 4096, "alpha": 0.5},  # paper: 32000
                "objective": {"name": "nce", "temperature": 0.07, "pairs": "to-last"},
                "target": {"name": "bank"},
            },
        ),
        Method(
            name="cpc",
            summary="what lies above in a grid of patches predicts the patches further down",
            paper="van den Oord et al. 2018; Hénaff et al. 2020 (v2)",
            settings={
                "views": {
                    "steps": [{"crop": [0.5, 1.0]}, "flip", {"grey": 0.25}, "normalise"],
                    "split": "grid",
                    "count": 1,
                },
                # 7 x 7 patches; v1 predicts up to five rows ahead, those that overlap left out
                "objective": {
                    "name": "cpc",
                    "side": 7,
                    "first": 2,
                    "steps": 4,
                    "similarity": "dot",
                },
                "encoder": {"name": "patchwise"},
                "head": {"projector": []},
            },
        ),
        Method(
            name="infomin",
            summary="MoCo v2 with views that share less: RandAugment, a jigsaw beside the query",
            paper="Tian et al. 2020",
            settings={
                "views": {"preset": "infomin", "count": 2, "split": {"jigsaw": {"weight": 0.5}}},
                "negatives": {"name": "queue", "size": 4096},  # paper: 65536
                "objective": {"name": "info-nce", "temperature": 0.15, "pairs": "to-last"},
                "head": {"batch_norm": False},
                "target": {
                    "name": "momentum",
                    "momentum": 0.99,
                    "final_momentum": 0.99,
                },  # paper: 0.999
            },
        ),
        Method(
            name="mlm",
            summary="a hidden word of a sentence is told from all words, by the words around it",
            paper="BERT, Devlin et al. 2019; VINCE, Wu et al. 2020, section 5.1",
            modality="tokens",
            settings={
                "encoder": {"name": "transformer"},
                "views": {"steps": ["mask"], "split": "masked", "count": 1},
                "negatives": {"name": "vocabulary"},
                "objective": {"name": "info-nce", "similarity": "dot", "temperature": 1.0},
                "head": {"projector": [128]},
                "target": {"name": "bank"},
            },
        ),
        Method(
            name="cross-entropy",
            summary="plain supervised classification, the baseline with labels",
            paper="",
            settings={
                "views": {"preset": "supervised", "count": 1},
                "positives": {"name": "labels"},
                "negatives": {"name": "none"},
                "objective": {"name": "cross-entropy"},
            },
        ),
    ],
)
