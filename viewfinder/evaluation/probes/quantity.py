"""From features and a quantity to a score with its protocol."""

from __future__ import annotations

import torch
from pydantic import JsonValue

from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.classification import (
    AS_GIVEN,
    OWN_DATA,
    Array,
    as_features,
)
from viewfinder.evaluation.probes.ridge_regression import (
    RidgeProbe,
    absolute_error,
    angular_error,
    fit_ridge_probe,
    mean_distance,
    on_circle,
    r_squared,
)
from viewfinder.evaluation.probes.scores import RegressionScore
from viewfinder.evaluation.probes.targets import Quantity
from viewfinder.networks.frozen_features import check_finite


def regress_features(
    train_x: Array,
    test_x: Array,
    target: Quantity,
    *,
    data: str = OWN_DATA,
    layer: str = AS_GIVEN,
    features: str = "trained",
    split: str = "train -> test",
    seed: int = 0,
    held_out: float = 0.15,
) -> RegressionScore:
    """Score frozen features by a ridge regression fitted on ``train`` and measured on ``test``.

    train_x (N, D), test_x (M, D) float, tensors or numpy arrays. An angle is predicted as (cosine,
    sine): R² is that of the pair, the error the mean distance on the circle. Other quantities: R²
    over all columns, and the mean absolute error over all columns, in the target's unit; of a place
    the mean distance from it.

    Raises UserError for lengths that do not fit, fewer than 3 rows, features that are not finite.

    >>> regress_features(x, test_x, find_target(source, "position"), data="shapes#position",
    ...                  layer="backbone").error  # in px  # doctest: +SKIP
    """
    x, test = as_features(train_x, test_x)
    for name, part, y in (("train", x, target.train), ("test", test, target.test)):
        if part.ndim != 2 or len(part) != len(y):
            raise UserError(f"{name}: features {(*part.shape,)} and {len(y)} values do not fit")
        check_finite(part)
    if len(x) < 3:
        raise UserError(f"{len(x)} train images are too few to choose a penalty")
    wanted, truth = (torch.from_numpy(y).to(x.device) for y in (target.train, target.test))
    goal = wanted if target.period is None else on_circle(wanted[:, 0], target.period)
    probe = fit_ridge_probe(x, goal, held_out=held_out, seed=seed)
    found = probe.predict(test)
    said = "mean absolute error"
    if target.place:
        error, said = mean_distance(truth, found), "mean distance"
    elif target.period is None:
        error = absolute_error(truth, found)
    else:
        said = "mean distance on the circle"
        error = angular_error(truth[:, 0], found, target.period)
        truth = on_circle(truth[:, 0], target.period)
    facts: dict[str, JsonValue] = {
        "target": target.name,
        "as": "itself" if target.period is None else "cosine and sine",
        "error": said,
        "seed": seed,
        "layer": layer,
        "data": data,
        "split": split,
        "n_train": len(x),
        "values": target.train.shape[1],
        "dim": x.shape[1],
    }
    return RegressionScore(
        features=features,
        r2=r_squared(truth, found),
        error=error,
        unit=target.unit,
        n_test=len(test),
        protocol={**_details(probe, held_out), **facts},
    )


def _details(probe: RidgeProbe, held_out: float) -> dict[str, JsonValue]:
    """How the probe was fitted, for the protocol."""
    selection = probe.selection
    assert selection is not None
    notes: list[JsonValue] = ["features standardised with the mean and deviation of train"]
    if selection.chosen in (0, len(selection.penalties) - 1):
        notes.append("the chosen penalty is at the end of those tried")
    return {
        "protocol": "ridge",
        "regression": "mean ‖y − xW − b‖² + penalty · ‖W‖², in closed form, float64",
        "penalty": probe.penalty,
        "penalties": list(selection.penalties),
        "held_out_squared_error": list(selection.squared_error),
        "selection": f"least squared error on {selection.rows} random held-out images of train "
        f"(fraction {held_out:g}); then fitted on all of train",
        "notes": notes,
    }
