"""Probes of frozen features: arrays in, a score with its whole protocol out.

Each takes features float (N, D) and (M, D) and what is to be read from them, of train and of test,
as torch tensors or numpy arrays; fits on train; and looks at test once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.classification import (
    AS_GIVEN,
    OWN_DATA,
    Array,
    evaluate_features,
)
from viewfinder.evaluation.probes.quantity import regress_features
from viewfinder.evaluation.probes.scores import RegressionScore, Score
from viewfinder.evaluation.probes.targets import Quantity, check_quantity


def linear(
    train_x: Array,
    train_y: Array,
    test_x: Array,
    test_y: Array,
    *,
    weight_decays: Sequence[float] | None = None,
    held_out: float = 0.15,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    data: str = OWN_DATA,
    layer: str = AS_GIVEN,
) -> Score:
    """Logistic regression on standardised features, as ``viewfinder evaluate`` has it.

    train_y, test_y  int (N,), (M,), classes from 0
    weight_decays    to choose from on the part ``held_out`` of train, drawn by ``seed``; None: a
                     grid of eight around D / N; a single one is taken as it is
    data, layer      words for the protocol: what the features are of

    Raises UserError as ``evaluate_features``.

    >>> x = np.array([[0.0], [0.1], [1.0], [1.1]] * 5)
    >>> linear(x, np.array([0, 0, 1, 1] * 5), x[:4], np.array([0, 0, 1, 1])).top1
    1.0
    """
    options = {
        "weight_decays": None if weight_decays is None else list(weight_decays),
        "held_out": held_out,
    }
    return evaluate_features(
        train_x,
        train_y,
        test_x,
        test_y,
        "linear",
        options=options,
        seed=seed,
        class_names=class_names,
        data=data,
        layer=layer,
    )


def knn(
    train_x: Array,
    train_y: Array,
    test_x: Array,
    test_y: Array,
    *,
    k: int = 20,
    temperature: float | None = 0.07,
    class_names: Sequence[str] | None = None,
    data: str = OWN_DATA,
    layer: str = AS_GIVEN,
) -> Score:
    """A vote of the ``k`` nearest rows of train by cosine similarity s, of weight
    exp(s / temperature), or of one each where ``temperature`` is None (Wu et al. 2018, 3.4).

    train_y, test_y  int (N,), (M,), classes from 0
    data, layer      words for the protocol: what the features are of

    Raises UserError as ``evaluate_features``, and where k is not in 1..N.

    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> knn(x, np.array([0, 1]), x, np.array([0, 0]), k=1).top1
    0.5
    """
    return evaluate_features(
        train_x,
        train_y,
        test_x,
        test_y,
        "knn",
        options={"k": k, "temperature": temperature},
        class_names=class_names,
        data=data,
        layer=layer,
    )


def ridge(
    train_x: Array,
    train_y: Array,
    test_x: Array,
    test_y: Array,
    *,
    name: str = "quantity",
    unit: str = "",
    period: float | None = None,
    held_out: float = 0.15,
    seed: int = 0,
    data: str = OWN_DATA,
    layer: str = AS_GIVEN,
) -> RegressionScore:
    """Ridge regression of a quantity on standardised features: R² and the mean absolute error.

    train_y, test_y  real (N,) or (N, K), in ``unit``
    period           of an angle, a full turn in ``unit`` (360 for degrees): it is predicted as
                     cosine and sine, and the error is the distance on the circle
    held_out         part of train, drawn by ``seed``, on which the penalty is chosen
    data, layer      words for the protocol: what the features are of

    Raises UserError for lengths that do not fit, fewer than 3 rows, what is not finite, a quantity
    that is constant, and an angle of more than one column.

    >>> x = np.linspace(0, 1, 20)[:, None]
    >>> ridge(x, 3 * x, x, 3 * x, unit="px").r2 > 0.999
    True
    """
    values = [_columns(f"{name} ({part})", y) for part, y in (("train", train_y), ("test", test_y))]
    if period is not None and values[0].shape[1] != 1:
        raise UserError(f"{name} has {values[0].shape[1]} columns; an angle has one")
    target = Quantity(name, values[0], values[1], unit, period)
    return regress_features(
        train_x, test_x, target, data=data, layer=layer, seed=seed, held_out=held_out
    )


def _columns(where: str, y: Array) -> np.ndarray:
    """A quantity as float64 (N, K)."""
    values = torch.as_tensor(y).detach().cpu().double().numpy()
    if values.ndim not in (1, 2) or len(values) == 0:
        raise UserError(f"{where} has the shape {values.shape}; (N,) or (N, K) is expected")
    values = values.reshape(len(values), -1)
    check_quantity(where, values)
    return values
