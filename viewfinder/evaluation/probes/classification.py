"""From features and labels to a score with its protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor

from viewfinder.core.errors import UserError, unknown
from viewfinder.evaluation.probes.knn import knn_scores
from viewfinder.evaluation.probes.linear import TOLERANCE, fit_linear_probe
from viewfinder.evaluation.probes.sgd import SGD_PROTOCOLS, SGDProtocol, fit_sgd_probe
from viewfinder.networks.frozen_features import check_finite
from viewfinder.runs.results import Score, accuracies

PROTOCOLS: tuple[str, ...] = ("linear", "knn", *SGD_PROTOCOLS)
Labels = Tensor | np.ndarray


def evaluate_features(
    train_x: Tensor,
    train_y: Labels | None,
    test_x: Tensor,
    test_y: Labels | None,
    protocol: str | SGDProtocol = "linear",
    *,
    data: str,
    layer: str,
    features: str = "trained",
    split: str = "train -> test",
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    k: int = 20,
    temperature: float | None = 0.07,
    weight_decays: Sequence[float] | None = None,
    held_out: float = 0.15,
) -> Score:
    """Score frozen features by a probe fitted on ``train`` and measured once on ``test``.

    train_x (N, D), test_x (M, D) float, on one device; labels int (N,), (M,), classes from 0.
    protocol: "linear" (logistic regression, weight decay chosen on a held-out part of train),
    "knn" (cosine; weights exp(s/temperature), or one vote each where ``temperature`` is None), a
    name in ``SGD_PROTOCOLS`` or such a row. Everything else that makes the number goes into
    ``Score.protocol``; ``data`` and ``layer`` are words for what the features are of
    ("cifar10", "backbone, after pooling"; "raw pixels").

    Raises UserError for labels that are missing, no integer classes, of one class only or of a
    class that is only in test, for lengths that do not fit, features that are not finite, an
    unknown protocol and values that the protocol refuses.

    >>> score = evaluate_features(x, y, test_x, test_y, "knn", k=20, temperature=0.07,
    ...                           data="cifar10", layer="backbone")  # doctest: +SKIP
    """
    train, test = _checked("train", train_x, train_y), _checked("test", test_x, test_y)
    classes, targets = train.unique(return_inverse=True)
    names = _names(classes.tolist(), class_names)
    wanted = _among(test, classes, class_names).to(test_x.device)
    parts = train_x, targets.to(train_x.device), test_x
    if protocol == "knn":
        scores, details = _knn(*parts, len(classes), k, temperature)
    elif protocol == "linear":
        scores, details = _linear(*parts, len(classes), weight_decays, held_out, seed)
    else:
        scores, details = _sgd(*parts, len(classes), protocol, seed)
    top1, top5, per_class = accuracies(scores, wanted, names)
    facts: dict[str, JsonValue] = {
        "layer": layer,
        "data": data,
        "split": split,
        "n_train": len(train_x),
        "classes": len(classes),
        "dim": train_x.shape[1],
    }
    return Score(
        features=features,
        top1=top1,
        top5=top5,
        per_class=per_class,
        n_test=len(test_x),
        protocol={**details, **facts},
    )


def _checked(name: str, x: Tensor, y: Labels | None) -> Tensor:
    """The labels as int64 on the CPU, after all that can be wrong with one part."""
    if y is None:
        raise UserError(
            f"the {name} part has no labels, so it cannot be scored",
            fix="labelled data for the evaluation, with data=SOURCE",
        )
    labels = torch.as_tensor(y).cpu()
    if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex():
        raise UserError(
            f"the {name} labels have shape {tuple(labels.shape)} and type {labels.dtype}; one "
            "integer class an image is expected"
        )
    if x.ndim != 2 or len(x) != len(labels):
        raise UserError(
            f"{name}: features {tuple(x.shape)} and {len(labels)} labels do not fit; (n, D) and n "
            "are expected"
        )
    if len(labels) == 0:
        raise UserError(f"the {name} part is empty; at least one labelled image is expected")
    if int(labels.min()) < 0:
        raise UserError(
            f"{int((labels < 0).sum())} of {len(labels)} {name} labels are negative (unlabelled); "
            "classes from 0 are expected",
            fix="leaving out the images without a label",
        )
    check_finite(x)
    return labels.long()


def _names(classes: Sequence[int], class_names: Sequence[str] | None) -> list[str]:
    """A distinct name for each class: its own, where there are names and they differ."""
    if class_names is None or len(set(class_names)) < len(class_names):
        return [str(c) for c in classes]
    if classes[-1] >= len(class_names):
        raise UserError(f"label {classes[-1]} has no name: there are {len(class_names)} classes")
    return [class_names[c] for c in classes]


def _among(test: Tensor, classes: Tensor, class_names: Sequence[str] | None) -> Tensor:
    """Test labels as positions in ``classes``, the classes of train."""
    if len(classes) < 2:
        raise UserError(
            f"all train labels are {int(classes[0])}; at least two classes are expected"
        )
    only = sorted(set(test.tolist()) - set(classes.tolist()))
    if only:
        shown = ", ".join(_names(only, class_names)[:5]) + (", …" if len(only) > 5 else "")
        raise UserError(
            f"{len(only)} classes are in test but not in train ({shown}): no probe can know them",
            fix="a larger data.limit, or a split by class",
        )
    return torch.searchsorted(classes, test)


def _knn(
    train_x: Tensor,
    train_y: Tensor,
    test_x: Tensor,
    classes: int,
    k: int,
    temperature: float | None,
) -> tuple[Tensor, dict[str, JsonValue]]:
    scores = knn_scores(test_x, train_x, train_y, k, temperature, classes)
    return scores.masked_fill(scores == 0, -torch.inf), {
        "protocol": "knn",
        "k": k,
        "temperature": temperature,
        "similarity": "cosine",
        "vote": "one each" if temperature is None else "exp(similarity / temperature)",
        "selection": "none: nothing is fitted or chosen, all of train is the bank",
        "seed": None,
        "notes": [],
    }


def _linear(
    train_x: Tensor,
    train_y: Tensor,
    test_x: Tensor,
    classes: int,
    weight_decays: Sequence[float] | None,
    held_out: float,
    seed: int,
) -> tuple[Tensor, dict[str, JsonValue]]:
    probe = fit_linear_probe(
        train_x, train_y, classes, weight_decays=weight_decays, held_out=held_out, seed=seed
    )
    notes: list[JsonValue] = ["features standardised with the mean and deviation of train"]
    details: dict[str, JsonValue] = {
        "protocol": "linear",
        "classifier": "multinomial logistic regression: "
        "mean cross-entropy + weight_decay / 2 · |W|², the bias not decayed",
        "optimiser": f"L-BFGS, to a largest gradient of {TOLERANCE:g}",
        "weight_decay": probe.weight_decay,
        "iterations": probe.iterations,
        "selection": "none: the weight decay was given",
        "seed": seed,
        "notes": notes,
    }
    if (selection := probe.selection) is not None:
        details["selection"] = (
            f"highest top-1 on {selection.rows} stratified held-out images of train "
            f"(fraction {held_out:g}), a tie by lower cross-entropy; then fitted on all of train"
        )
        details["weight_decays"] = list(selection.weight_decays)
        details["held_out_top1"] = list(selection.top1)
        if selection.chosen in (0, len(selection.weight_decays) - 1):
            notes.append("the chosen weight decay is at the end of those tried")
    if probe.gradient > TOLERANCE:
        notes.append(f"the fit stopped early, at a largest gradient of {probe.gradient:.2g}")
    return probe.scores(test_x), details


def _sgd(
    train_x: Tensor,
    train_y: Tensor,
    test_x: Tensor,
    classes: int,
    protocol: str | SGDProtocol,
    seed: int,
) -> tuple[Tensor, dict[str, JsonValue]]:
    row = SGD_PROTOCOLS.get(protocol) if isinstance(protocol, str) else protocol
    if row is None:
        raise unknown("protocol", str(protocol), PROTOCOLS)
    layer = fit_sgd_probe(train_x, train_y, classes, row, seed=seed)
    with torch.no_grad():
        scores = layer(test_x)
    fields = asdict(row)
    deviates, milestones = fields.pop("deviates"), fields.pop("milestones")
    return scores, {
        "protocol": fields.pop("name"),
        "optimiser": "SGD",
        **fields,
        "milestones": None if milestones is None else list(milestones),
        "selection": "none: fixed values, last epoch",
        "seed": seed,
        "notes": ["features as they are, not standardised", *deviates],
    }
