"""The file itself, plotting library included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from plotly.offline import get_plotlyjs

from viewfinder.report.content import Embedded, ReportContent
from viewfinder.report.page import render


def test_one_file_of_bearable_size_holds_everything(content: ReportContent) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1500, 32, 32, 3), dtype=np.uint8)  # the worst to compress
    gallery = rng.integers(0, 256, (16, 3, 96, 96, 3), dtype=np.uint8)
    assert content.gallery is not None
    html = render(
        replace(
            content,
            embedded=Embedded(np.repeat(np.eye(2), 750, axis=0), noise),
            gallery=replace(content.gallery, images=gallery),
        )
    )
    assert len(html.encode()) < 8_000_000
    assert html.count(get_plotlyjs()) == 1
    ours = html.replace(get_plotlyjs(), "")
    assert "http://" not in ours
    assert "https://" not in ours
    assert "<link" not in ours
