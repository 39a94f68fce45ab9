"""Cases computed by other implementations: inputs, expected values and gradients, in words.

They come from the folder VIEWFINDER_GOLDEN where that is set, else from the small selection beside
this file. A folder holds one .npz an objective and index.json; README.md says what is in them.

    @pytest.mark.parametrize("case", golden_cases("nt_xent"))
    def test_golden(case): ...
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

FOLDER = Path(os.environ.get("VIEWFINDER_GOLDEN") or Path(__file__).parent)


@dataclass(frozen=True)
class Case:
    """One case. ``about`` is its entry in index.json; arrays are read when asked for."""

    objective: str
    id: str
    about: Mapping[str, Any]

    @property
    def params(self) -> Mapping[str, Any]:
        return self.about["params"]

    @property
    def alternatives(self) -> list[str]:
        return [a["key"] for a in self.about.get("alternatives", ())]

    def array(self, key: str) -> np.ndarray:
        """An array by its key: in/z0, f64/loss, f32/grad/z0, alt/dino/value."""
        return _arrays(self.objective)[f"{self.id}/{key}"]

    def input(self, name: str, dtype: torch.dtype = torch.float64) -> Tensor:
        """An input as a tensor; a floating one has ``dtype``, and a gradient where one is known."""
        x = torch.from_numpy(self.array(f"in/{name}"))
        if not x.is_floating_point():
            return x
        return x.to(dtype).requires_grad_(name in self.about["differentiated"])


def golden_cases(objective: str, keep: Callable[[Case], bool] = lambda case: True) -> list[Any]:
    """The cases of an objective as pytest parameters, named after it; one that is skipped, and says
    so, where the folder has none."""
    if objective not in _index():
        reason = "VIEWFINDER_GOLDEN is not set, and the small selection has no such cases"
        return [pytest.param(None, id=objective, marks=pytest.mark.skip(reason=reason))]
    return [
        pytest.param(case, id=f"{objective}-{case.id}")
        for about in _index()[objective]["cases"]
        if keep(case := Case(objective, about["id"], about))
    ]


def assert_golden(
    case: Case,
    loss: Callable[[Mapping[str, Tensor]], Tensor],
    *,
    alternative: str | None = None,
    tangent: bool = False,
) -> None:
    """Check a loss and its gradients against a case, in float64 and in float32.

    ``loss`` maps the inputs by name to a scalar. Float64: 1e-9 relative on the value; gradients
    within 1e-8 of the largest. Float32: ``float32_tolerance`` and ``vanishing_gradient``, and a few
    times the error that the peer itself has against its own float64 run. ``alternative``: against a
    peer that differs, which ran in float64 alone. ``tangent``: the peer takes unit vectors as they
    are and ours normalises them, so the gradients are equal except for the part along the vector.
    """
    parts = {"f64": torch.float64} if alternative else {"f64": torch.float64, "f32": torch.float32}
    for part, dtype in parts.items():
        inputs = {name: case.input(name, dtype) for name in case.about["inputs"]}
        value = loss(inputs)
        assert value.dtype == dtype
        value.backward()
        where = f"alt/{alternative}" if alternative else part
        exact = part == "f64"
        # no peer ran where the values are from the formula: float64 on rounded inputs; then what
        # float32 itself rounds away of a cosine
        error = {"loss_abs": 0.0, "grad_abs": 2e-8} | case.about.get(
            "peer_float32_error_vs_float64_on_same_inputs", {}
        )
        np.testing.assert_allclose(
            value.item(),
            case.array(f"{where}/loss"),
            rtol=1e-9 if exact else 2e-6,
            atol=1e-15 if exact else 5 * error["loss_abs"] + float32_tolerance(case),
        )
        for name in case.about["differentiated"]:
            if f"{case.id}/{where}/grad/{name}" not in _arrays(case.objective):
                continue  # some alternatives let no gradient into some inputs
            wanted = case.array(f"{where}/grad/{name}")
            if tangent:
                along = case.array(f"in/{name}")
                wanted = wanted - along * (wanted * along).sum(axis=1, keepdims=True)
            gradient = inputs[name].grad
            assert gradient is not None
            largest = np.abs(wanted).max()
            bound = np.asarray(1e-8 * largest + 1e-11)
            if not exact:
                floor = vanishing_gradient(case, case.array(f"in/{name}"))
                bound = 2e-5 * largest + 5 * error["grad_abs"] + floor
            assert (np.abs(gradient.numpy() - wanted) <= bound).all(), f"{where}/grad/{name}"


ROUNDINGS = 19
TEMPERATURES = ("temperature", "student_temp", "teacher_temp", "epsilon")


def float32_tolerance(case: Case) -> float:
    """How far two float32 values of one loss may lie apart by rounding alone.

    Such a loss is a difference of two numbers of the size of its logits, the log of a sum of their
    exponentials less the positive's, and neither is known better than float32 holds it, however
    small the loss: u M at most, where u = eps / 2 is a rounding and M the largest logit. There are
    about 19 of these. A cosine has nine: two vectors are normalised (sum, root and division for
    each), multiplied, summed and divided by the temperature. Both the positive's and the others'
    reach the loss undiminished, as the log of a sum moves no more than its largest logit; the
    log itself is one more. Each rounding is uniform within u M, hence of deviation u M / sqrt(3),
    and three deviations of their sum are 3 sqrt(19 / 3) u M = 3.8 eps M: 6.5e-6 at temperature
    0.07, 9e-7 at 0.5. Worst would be 19 u M, two and a half times that.
    """
    eps = float(np.finfo(np.float32).eps)
    return 3 * (ROUNDINGS / 3) ** 0.5 * eps / 2 * largest_logit(case)


def vanishing_gradient(case: Case, x: np.ndarray) -> np.ndarray:
    """What remains in float32 of a gradient that is zero: for each row of an input x (..., D).

    The gradient by a logit is p, or p - 1 of the positive, and p = exp(l - log of the sum). That
    log is a number of the size of the largest logit M held in float32, so it errs by u M, and where
    a loss is all but zero p - 1 is that error. A logit changes by at most M / |x| with x, as the
    cosine changes by 1 / |x|, and the loss is a mean over N rows: u M * M / (N |x|). Of scores that
    are inputs themselves, which no temperature multiplies, nothing.
    """
    if "temperature" not in case.params:
        return np.zeros(1)
    norm = np.linalg.norm(x, axis=-1, keepdims=True)
    unit = np.finfo(np.float32).eps / 2
    floor = unit * largest_logit(case) ** 2 / (norm.size * np.where(norm > 0, norm, np.inf))
    return np.asarray(floor)


def largest_logit(case: Case) -> float:
    """The largest |score| / temperature of a case: of cosines 1 / temperature."""
    below = [case.params[name] for name in TEMPERATURES if case.params.get(name)]
    inputs = case.about["inputs"]
    below += [case.array(f"in/{name}").min() for name in inputs if name.startswith("density")]
    given = [name for name in inputs if name.startswith(("logits", "teacher", "student"))]
    scores = max((np.abs(case.array(f"in/{name}")).max() for name in given), default=1.0)
    return float(scores / min(below, default=1.0))


@functools.cache
def _index() -> dict[str, Any]:
    index = json.loads((FOLDER / "index.json").read_text())
    return {Path(o["file"]).stem: o for o in index["objectives"]}


@functools.cache
def _arrays(objective: str) -> Mapping[str, np.ndarray]:
    return dict(np.load(FOLDER / _index()[objective]["file"]))
