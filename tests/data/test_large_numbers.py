"""Numbers of classes may be any that int64 holds."""

from __future__ import annotations

import numpy as np
import pytest

from viewfinder.data.sidecars.labels import encode


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("largest", [3, 2**31, 2**62, 2**63 - 1])
def test_large_labels_are_renumbered_without_a_warning(largest: int) -> None:
    coded, names, _ = encode({"train": np.array([0, largest, 1])}, None, where="labels")
    assert coded["train"].tolist() == [0, 2, 1]
    assert names == ["0", "1", str(largest)]
