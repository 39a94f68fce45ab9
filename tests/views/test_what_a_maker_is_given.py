"""What is no batch of views is refused in words, with what to give instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import viewfinder as vf
from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain

IMAGE = torch.zeros(3, 40, 40, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((IMAGE, 7), r"lambda image, label"),
        ((IMAGE, torch.tensor(7)), r"lambda image, label"),
        ((Image.new("RGB", (40, 40)),), r"PILToTensor"),
        ((np.zeros((40, 40, 3), np.uint8),), r"torch.from_numpy"),
        (([Image.new("RGB", (40, 40))] * 2,), r"PILToTensor"),
        (([IMAGE] * 5,), r"torch.stack"),
    ],
)
def test_what_a_maker_cannot_take_is_told(given: tuple[Any, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        vf.views.preset("byol", 32)(*given)


@pytest.mark.parametrize("split", ["frame", "frames"])
def test_a_size_beside_a_domain_is_refused(split: str) -> None:
    clips = Domain("clips", (4, 1, 32, 32))
    with pytest.raises(UserError, match="beside a domain"):
        vf.views.compose(["normalise"], 16, split=split, domain=clips)
