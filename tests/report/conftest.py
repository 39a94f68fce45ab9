"""Content for reports: scikit-learn's digits, small enough that a page takes a moment."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from viewfinder.evaluation.probes.scores import Score
from viewfinder.report.content import Embedded, Gallery, ReportContent

HOSTILE = [
    "<script>document.title='owned'</script>",
    "</script><script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "' onmouseover='document.title=1' x='",
    "{{7*7}}{% raw %}",
    "<!--<script>",
    "</style></title></textarea>",
    "javascript:alert(1)//${7*7}",
    "\u202egnp.exe\u2028\u2029\x00",
    "&lt;b&gt; %{x} $\\alpha$",
]


def score(
    features: str, top1: float, top5: float | None, per_class: dict[str, float], **protocol: Any
) -> Score:
    known = {"protocol": "linear", "data": "digits", "split": "train -> test", "n_train": 50}
    return Score(
        features=features,
        top1=top1,
        top5=top5,
        per_class=per_class,
        n_test=10,
        protocol={**known, **protocol},
    )


@pytest.fixture(scope="session")
def digits() -> Embedded:
    """60 real digits; the embedding is the picture itself."""
    source = load_digits()
    images = np.round(source.images[:60] / 16 * 255).astype(np.uint8)
    return Embedded(
        vectors=source.data[:60].astype(np.float32),
        thumbnails=images[..., None],
        labels=source.target[:60].astype(np.int64),
        class_names=[f"digit {i}" for i in range(10)],
        names=[f"scan-{i}.png" for i in range(60)],
        about="the first 60 digits",
    )


@pytest.fixture(scope="session")
def content(digits: Embedded) -> ReportContent:
    assert digits.thumbnails is not None
    pictures = digits.thumbnails[:4]
    per_class = dict.fromkeys(digits.class_names, 0.5)
    protocol = {"layer": "encoder output", "knn": {"k": 20, "temperature": 0.07}, "tried": [1, "a"]}
    return ReportContent(
        title="simclr on digits",
        summary="A linear probe names 61.2 % of held-out images.",
        method={"views": "simclr", "positives": "instance", "objective": "nt-xent"},
        recipe="method: simclr\nseed: 3\n",
        history={
            "epoch": [1.0, 2.0, 3.0],
            "loss": [5.0, float("nan"), 4.0],
            "feature_std": [0.5, None, 0.7],
            "learning_rate": [None, None, None],
        },
        scores=[
            score("trained", 0.612, 0.95, per_class, **protocol),
            score("raw pixels", 0.401, None, {}, **protocol),
        ],
        gallery=Gallery(np.stack([pictures, 255 - pictures], axis=1)),
        embedded=digits,
        notes=["A fifth was held out."],
    )


@pytest.fixture(scope="session")
def hostile_names() -> list[str]:
    return HOSTILE


@pytest.fixture(scope="session")
def hostile(digits: Embedded) -> ReportContent:
    """Every text that comes from outside tries to break out of the page."""
    text = " ".join(HOSTILE)
    some = digits.take(np.arange(40))
    protocol = {text: text, "data": text, "protocol": HOSTILE[1]}
    return ReportContent(
        title=text,
        summary=text,
        method={"views": text},
        recipe=text,
        history={"epoch": [1.0], "loss": [2.0], HOSTILE[1]: [1.0]},
        scores=[
            score(
                text,
                0.5,
                0.9,
                dict.fromkeys(HOSTILE, 0.5),
                **protocol,
            )
        ],
        embedded=Embedded(
            some.vectors,
            some.thumbnails,
            some.labels,
            HOSTILE,
            [f"{i}/{HOSTILE[i % len(HOSTILE)]}" for i in range(40)],
            text,
        ),
        notes=[text],
    )


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium; tests that need it are skipped where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
