"""What a person sees of the data: colours, confusions, twins, strangers, neighbours by others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from viewfinder.evaluation.pictured import of_different_classes
from viewfinder.report import page
from viewfinder.report.confused import confusions, look_alikes, strangers, votes, weakest
from viewfinder.report.content import Embedded, ReportContent, Same, neighbours
from viewfinder.report.page import render
from viewfinder.report.palette import KELLY, OKABE_ITO, colours
from viewfinder.report.projection import LAID_OUT, project


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "_plotly", lambda: "window.Plotly = null;")


def linear(colour: str) -> np.ndarray:
    """Linear RGB (3,) of #rrggbb (IEC 61966-2-1)."""
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear RGB, D65."""
    to_xyz = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
    x = np.array(to_xyz) @ rgb.clip(0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


VISION = {
    "usual": np.eye(3),
    # Machado, Oliveira and Fernandes (2009), table 1, severity 1.0
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def closest(palette: tuple[str, ...], vision: str) -> float:
    places = [lab(VISION[vision] @ linear(colour)) for colour in palette]
    return min(float(np.linalg.norm(a - b)) for i, a in enumerate(places) for b in places[i + 1 :])


@pytest.mark.parametrize("vision", VISION)
def test_up_to_eight_colours_differ_for_all_eyes(vision: str) -> None:
    """2.3 is a just noticeable difference in CIELAB (Mahy et al. 1994); four of them is plain."""
    assert len(set(OKABE_ITO)) == 8
    assert closest(OKABE_ITO, vision) > 4 * 2.3


def test_twenty_colours_differ_and_shapes_help_where_colours_do_not() -> None:
    assert len(set(KELLY)) == 20 and colours(20) == KELLY
    assert closest(KELLY, "usual") > 4 * 2.3


def test_votes_confusions_and_the_weakest_class_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, -1])
    near = np.array([[1, 2], [0, 2], [3, 4], [4, 2], [2, 1], [3, 4]])
    embedded = Embedded(np.eye(6), labels=labels, class_names=["cat", "dog"])
    voted = votes(embedded, near)
    assert voted is not None
    assert voted.tolist() == [0, 0, 1, 1, 0, 1]  # of one vote each, the nearest's
    found = confusions(embedded, voted)
    assert [(c.label, c.taken_for, c.rows) for c in found] == [(0, 1, [2]), (1, 0, [4])]
    assert weakest(embedded, voted) == [(1, 0.5, 2), (0, 2 / 3, 3)]
    held = replace(embedded, splits=["train"] * 4 + ["test"] * 2)
    assert weakest(held, voted) == [(1, 0.0, 1)]  # only the labelled test image is judged
    assert votes(Embedded(np.eye(6)), near) is None


def test_planted_twins_and_a_stranger_are_counted() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)
    pictures[1] = pictures[0]
    splits = ["test"] + ["train"] * 49
    vectors = np.ones((50, 60)) + 0.1 * rng.normal(size=(50, 60))
    vectors[1] = vectors[0]
    vectors[9, ::2] = -1
    embedded = Embedded(vectors, pictures, splits=splits)
    near, similarity = neighbours(vectors, 7)
    assert look_alikes(embedded, near) == (2, 2)
    assert strangers(similarity) == 1


def test_images_beyond_those_laid_out_lie_among_their_neighbours() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 20))
    vectors = centres[rng.integers(0, 12, LAID_OUT + 700)]
    vectors = vectors + 0.4 * rng.normal(size=vectors.shape)
    found = project(vectors, 0)
    assert np.isfinite(found.places).all()
    assert f"of {LAID_OUT:,} images" in found.how
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert trustworthiness(unit, found.places, n_neighbors=5) > 0.85


def test_the_page_shows_neighbours_by_others_groups_and_confusions(digits: Embedded) -> None:
    near, _ = neighbours(digits.vectors, 7)
    named = replace(digits, rivals={"untrained": near, "raw pixels": near[:, ::-1]})
    assert digits.thumbnails is not None
    same = Same(digits.thumbnails[:4], np.array([0, 0, 1, 1]), [30, 12], 7)
    text = " ".join(
        render(
            ReportContent("x", embedded=named, same=same, headline="Good.", folder="a/b")
        ).split()
    )
    for said in (
        "by untrained, by raw pixels",
        "What is confused",
        "What counted as the same",
        "The largest of 7 groups",
        "group 1: 30 images",
        "viewfinder clean <bdi>a/b</bdi>",
        "Good.",
        "scan-0.png",
    ):
        assert said in text


def test_a_gallery_takes_images_of_different_classes() -> None:
    labels = np.array([2, 2, 2, 2, 0, -1, 1, 1])
    assert of_different_classes(labels, 8, 3).tolist() == [0, 4, 6]
    assert of_different_classes(labels, 8, 20)[-1] == 5  # what has no label comes last
    assert of_different_classes(None, 100, 3).tolist() == [0, 49, 99]
