"""From features and labels to a score with its protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pydantic import JsonValue, ValidationError
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.core.validation import readable
from viewfinder.evaluation.probes.contract import ProbeRow
from viewfinder.evaluation.probes.scores import Score, accuracies
from viewfinder.evaluation.probes.table import PROBES
from viewfinder.networks.frozen_features import check_finite

Array = Tensor | np.ndarray
OWN_DATA, AS_GIVEN = "own data", "features as given"
"""What a score says of its data and layer where nobody does."""


def evaluate_features(
    train_x: Array,
    train_y: Array | None,
    test_x: Array,
    test_y: Array | None,
    probe: str | ProbeRow = "linear",
    *,
    options: Mapping[str, Any] | None = None,
    data: str = OWN_DATA,
    layer: str = AS_GIVEN,
    features: str = "trained",
    split: str = "train -> test",
    class_names: Sequence[str] | None = None,
    seed: int = 0,
) -> Score:
    """Score frozen features by a probe fitted on ``train`` and measured once on ``test``.

    train_x (N, D), test_x (M, D) float, tensors on one device or numpy arrays; labels int (N,),
    (M,), classes from 0. probe: a name in ``PROBES`` or a row; ``options`` are its own (k and
    temperature of "knn", weight_decays and held_out of "linear"). Everything else that makes the
    number goes into ``Score.protocol``; ``data`` and ``layer`` are words for what the features are
    of ("cifar10", "backbone, after pooling"; "raw pixels").

    Raises UserError for labels that are missing, no integer classes, of one class only or of a
    class that is only in test, for lengths that do not fit, features that are not finite, an
    unknown probe and options that the probe refuses.

    >>> score = evaluate_features(x, y, test_x, test_y, "knn", options={"k": 5},
    ...                           data="cifar10", layer="backbone")  # doctest: +SKIP
    """
    row = PROBES.find(probe) if isinstance(probe, str) else probe
    own = _own_options(row, options or {})
    x, test_x = as_features(train_x, test_x)
    train, test = _checked("train", x, train_y), _checked("test", test_x, test_y)
    classes, targets = train.unique(return_inverse=True)
    names = _names(classes.tolist(), class_names)
    wanted = _among(test, classes, class_names).to(test_x.device)
    scores, details = row.scores(own, x, targets.to(x.device), test_x, len(classes), seed)
    top1, top5, per_class = accuracies(scores, wanted, names)
    facts: dict[str, JsonValue] = {
        "layer": layer,
        "data": data,
        "split": split,
        "n_train": len(x),
        "classes": len(classes),
        "dim": x.shape[1],
        "options": own.model_dump(mode="json"),
    }
    return Score(
        features=features,
        top1=top1,
        top5=top5,
        per_class=per_class,
        n_test=len(test_x),
        protocol={**details, **facts},
    )


def as_features(train_x: Array, test_x: Array) -> tuple[Tensor, Tensor]:
    """Both as tensors of one floating type, the wider of theirs; whole numbers as float32."""
    x, test = torch.as_tensor(train_x).detach(), torch.as_tensor(test_x).detach()
    kind = torch.promote_types(torch.promote_types(x.dtype, test.dtype), torch.float16)
    kind = kind if x.is_floating_point() or test.is_floating_point() else torch.float32
    return x.to(kind), test.to(kind)


def _own_options(row: ProbeRow, given: Mapping[str, Any]) -> Any:
    try:
        return row.options(**given)
    except ValidationError as error:
        fields = row.options.model_fields.items()
        known = {f"{row.name}.{key}": field.description or "" for key, field in fields}
        raise readable(error, known, prefix=(row.name,)) from error


def _checked(name: str, x: Tensor, y: Array | None) -> Tensor:
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
