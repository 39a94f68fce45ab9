"""The table of objectives: name -> what the training step needs to know."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from viewfinder.errors import unknown
from viewfinder.objectives.barlow_twins import Deviation, barlow_twins
from viewfinder.objectives.carl import CARL_OBJECTIVE
from viewfinder.objectives.ci_infonce import CI_INFONCE_OBJECTIVE
from viewfinder.objectives.cosine import byol_regression, negative_cosine
from viewfinder.objectives.cross_entropy import cross_entropy
from viewfinder.objectives.dino import DINO_OBJECTIVE
from viewfinder.objectives.info_nce import Stale, info_nce, info_nce_with_negatives, simplex
from viewfinder.objectives.multilabel import tag_overlap
from viewfinder.objectives.nt_xent import nt_xent
from viewfinder.objectives.objective import Inputs, Objective, Options
from viewfinder.objectives.pcl import PCL_OBJECTIVE
from viewfinder.objectives.similarity import unit
from viewfinder.objectives.supcon import Missing, supcon
from viewfinder.objectives.swav import SWAV_OBJECTIVE
from viewfinder.objectives.vicreg import vicreg


def find(name: str) -> Objective:
    """The objective of that name; raises UserError with the nearest name otherwise."""
    if name not in OBJECTIVES:
        raise unknown("objective", name, OBJECTIVES)
    return OBJECTIVES[name]


class NTXentOptions(Options):
    temperature: PositiveFloat = Field(0.5, description="divides the cosine similarities")


class InfoNCEOptions(Options):
    temperature: PositiveFloat = Field(0.2, description="divides the cosine similarities")
    symmetric: bool = Field(False, description="the mean over both directions")
    stale: Stale = Field(
        "excluded",
        description="keys of the query's own image in a queue: excluded, positive or negative",
    )


class SupConOptions(Options):
    temperature: PositiveFloat = Field(0.1, description="divides the cosine similarities")
    base_temperature: PositiveFloat | None = Field(
        None, description="multiplies the loss by temperature / base_temperature"
    )
    anchors: Literal["all", "first"] = Field("all", description="which views are anchors")
    missing: Missing = Field(
        "error",
        description="anchors without a positive: error, skip (not in the mean) or zero (in it)",
    )


class CosineOptions(Options):
    form: Literal["regression", "negative_cosine"] = Field(
        "regression",
        description="regression: BYOL's sum over both directions of 2 - 2 cos; "
        "negative_cosine: SimSiam's mean over both of -cos",
    )
    symmetric: bool = Field(True, description="both directions; else the first view predicts")


class BarlowTwinsOptions(Options):
    normalize: bool = Field(
        False, description="projections to unit length before they are standardised, as InfoCL"
    )
    redundancy: NonNegativeFloat = Field(
        0.005, description="weight of the correlations between different dimensions"
    )
    deviation: Deviation = Field(
        "biased",
        description="what each dimension is divided by: biased, the authors' batch norm; "
        "unbiased, with N - 1, as InfoCL",
    )
    eps: NonNegativeFloat = Field(
        1e-5, description="added to the variance if biased, to its root if unbiased"
    )


class VICRegOptions(Options):
    invariance: NonNegativeFloat = Field(25.0, description="weight of the squared difference")
    variance: NonNegativeFloat = Field(25.0, description="weight of the deviations' shortfall of 1")
    covariance: NonNegativeFloat = Field(1.0, description="weight of the squared covariances")
    halved: bool = Field(
        True, description="half the sum of both views' variance terms, as coded; else their sum"
    )
    eps: PositiveFloat = Field(1e-4, description="added to the variances")


def _nt_xent(x: Inputs, o: NTXentOptions) -> dict[str, Tensor]:
    return {"loss": nt_xent(x.online[0], x.online[1], o.temperature, rows=x.rows)}


def _info_nce(x: Inputs, o: InfoNCEOptions) -> dict[str, Tensor]:
    there = _info_nce_one_way(x.online[0], x.target[-1], x, o)
    if not o.symmetric:
        return {"loss": there}
    back = _info_nce_one_way(x.online[1], x.target[0], x, o)
    return {"loss": (there + back) / 2}


def _info_nce_one_way(query: Tensor, key: Tensor, x: Inputs, o: InfoNCEOptions) -> Tensor:
    if x.negatives is None:
        return info_nce(query, key, o.temperature, cluster=x.cluster, rows=x.rows)
    own = x.rows or slice(None)
    return info_nce_with_negatives(
        query[own],
        key[own],
        x.negatives,
        o.temperature,
        index=None if x.index is None else x.index[own],
        cluster=None if x.cluster is None else x.cluster[own],
        stale=o.stale,
    )


def _supcon(x: Inputs, o: SupConOptions) -> dict[str, Tensor]:
    weights = None if x.tags is None else tag_overlap(x.tags)
    cluster = x.cluster if weights is None else None
    return {"loss": supcon(x.online, cluster, weights=weights, rows=x.rows, **o.model_dump())}


def _cosine(x: Inputs, o: CosineOptions) -> dict[str, Tensor]:
    loss = byol_regression if o.form == "regression" else negative_cosine
    there = loss(x.online[0], x.target[-1])
    if not o.symmetric:
        return {"loss": there}
    both = there + loss(x.online[1], x.target[0])
    return {"loss": both if o.form == "regression" else both / 2}


def _barlow_twins(x: Inputs, o: BarlowTwinsOptions) -> dict[str, Tensor]:
    z0, z1 = (unit(z) if o.normalize else z for z in x.online)
    return {"loss": barlow_twins(z0, z1, **o.model_dump(exclude={"normalize"}))}


def _vicreg(x: Inputs, o: VICRegOptions) -> dict[str, Tensor]:
    return {"loss": vicreg(x.online[0], x.online[1], **o.model_dump())}


def _cross_entropy(x: Inputs, o: Options) -> dict[str, Tensor]:
    assert x.cluster is not None  # the table says that it needs them
    losses = [cross_entropy(logits, x.cluster) for logits in x.online]
    return {"loss": sum(losses[1:], losses[0]) / len(losses)}


def _barlow_minimum(o: BarlowTwinsOptions, n: int, v: int, c: int) -> float:
    """With n - 1 dimensions, the most that n samples can decorrelate."""
    return 0.0 if o.deviation == "biased" else (n - 1) / n**2  # the diagonal reaches (n - 1) / n


OBJECTIVES: dict[str, Objective] = {
    o.name: o
    for o in (
        Objective(
            name="nt_xent",
            summary="tell the other view of an image from all other views in the batch",
            formula="mean_a -log( exp(s_a,pos(a)) / sum_{b != a} exp(s_ab) )",
            paper="SimCLR, Chen et al. 2020",
            options=NTXentOptions,
            compute=_nt_xent,
            minimum=lambda o, n, v, c: simplex(o.temperature, 1, 2 * n - 2, n),
            across_ranks="keys",
            target="unused",
            negatives=("batch",),
            positives=("instance",),
            views=(2, 2),
        ),
        Objective(
            name="info_nce",
            summary="tell the key of a query from the batch's other keys, or from a queue",
            formula="mean_i -log( exp(s_ii) / sum_j exp(s_ij) )",
            paper="CPC, van den Oord et al. 2018; MoCo, He et al. 2020",
            options=InfoNCEOptions,
            compute=_info_nce,
            minimum=lambda o, n, v, c: simplex(o.temperature, n // c, n - n // c, c),
            one_way=lambda o: not o.symmetric,
            across_ranks="keys",
            target="any",
            negatives=("batch", "queue"),
            positives=("instance", "clusters"),
            views=(2, 2),
        ),
        Objective(
            name="supcon",
            summary="every view of every image of the class, or cluster, is a positive",
            formula="mean_a -1/|P(a)| sum_{p in P(a)} log( exp(s_ap) / sum_{b != a} exp(s_ab) )",
            paper="SupCon, Khosla et al. 2020; CI-InfoNCE, Tsai et al. 2021",
            options=SupConOptions,
            compute=_supcon,
            minimum=lambda o, n, v, c: simplex(o.temperature, v * n // c - 1, v * (n - n // c), c),
            across_ranks="keys",
            target="unused",
            negatives=("batch",),
            positives=("instance", "clusters", "tags"),
            views=(1, None),
        ),
        Objective(
            name="cosine",
            summary="predict the other view's target; no negatives",
            formula="sum over both directions of mean_i 2 - 2 cos(prediction_i, target_i)",
            paper="BYOL, Grill et al. 2020; SimSiam, Chen and He 2021",
            options=CosineOptions,
            compute=_cosine,
            minimum=lambda o, n, v, c: 0.0 if o.form == "regression" else -1.0,
            one_way=lambda o: not o.symmetric,
            across_ranks="nothing",
            target="constant",
            negatives=("none",),
            positives=("instance",),
            views=(2, 2),
        ),
        Objective(
            name="barlow_twins",
            summary="the same dimension of both views correlates, different dimensions do not",
            formula="sum_i (1 - C_ii)^2 + redundancy * sum_{i != j} C_ij^2",
            paper="Barlow Twins, Zbontar et al. 2021",
            options=BarlowTwinsOptions,
            compute=_barlow_twins,
            minimum=_barlow_minimum,
            across_ranks="batch",
            target="unused",
            negatives=("none",),
            positives=("instance",),
            views=(2, 2),
        ),
        Objective(
            name="vicreg",
            summary="views agree; every dimension varies, no two of them together",
            formula="25 mean (z0 - z1)^2 + 25/2 (v(z0) + v(z1)) + c(z0) + c(z1)",
            paper="VICReg, Bardes et al. 2022",
            options=VICRegOptions,
            compute=_vicreg,
            minimum=lambda o, n, v, c: 0.0,
            across_ranks="batch",
            target="unused",
            negatives=("none",),
            positives=("instance",),
            views=(2, 2),
        ),
        Objective(
            name="cross_entropy",
            summary="predict the label",
            formula="mean_i -log softmax(logits_i)[label_i]",
            paper="the supervised baseline",
            options=Options,
            compute=_cross_entropy,
            outputs="classes",
            minimum=lambda o, n, v, c: 0.0,
            across_ranks="nothing",
            target="unused",
            negatives=("none",),
            positives=("clusters",),
            views=(1, None),
        ),
        CI_INFONCE_OBJECTIVE,
        PCL_OBJECTIVE,
        SWAV_OBJECTIVE,
        CARL_OBJECTIVE,
        DINO_OBJECTIVE,
    )
}
