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
    within 1e-8 of the largest. Float32: a few times the error that the peer itself has against its
    own float64 run. ``alternative``: against a peer that differs, which ran in float64 alone.
    ``tangent``: the peer takes unit vectors as they are and ours normalises them, so the gradients
    are equal but for the part along the vector.
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
            atol=1e-15 if exact else 5 * error["loss_abs"] + 1e-6,
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
            bound = 1e-8 * largest + 1e-11 if exact else 2e-5 * largest + 5 * error["grad_abs"]
            assert np.abs(gradient.numpy() - wanted).max() <= bound, f"{where}/grad/{name}"


@functools.cache
def _index() -> dict[str, Any]:
    index = json.loads((FOLDER / "index.json").read_text())
    return {Path(o["file"]).stem: o for o in index["objectives"]}


@functools.cache
def _arrays(objective: str) -> Mapping[str, np.ndarray]:
    return dict(np.load(FOLDER / _index()[objective]["file"]))
