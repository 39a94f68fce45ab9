from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viewfinder.core.errors import UserError
from viewfinder.evaluation.probes.scores import AnyScore, RegressionScore, Score
from viewfinder.report import page
from viewfinder.report.content import Embedded, ReportContent
from viewfinder.report.page import render, write_report


class Parsed(HTMLParser):
    """Tags, attributes and texts of a page as a browser would meet them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " "
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests look at everything but the five megabytes of the plotting library."""
    monkeypatch.setattr(page, "_plotly", lambda: "window.Plotly = null;")


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_the_page_says_what_the_content_says(content: ReportContent) -> None:
    parsed = Parsed(render(content))
    text = squeezed(parsed.text)
    for said in ("simclr on digits", "61.2 %", "40.1 %", "instance", "A fifth was held out."):
        assert said in text
    for line in ("layer encoder output", "knn.k 20", "knn.temperature 0.07", "tried 1, a"):
        assert line in text
    assert text.count("split train -> test") == text.count("n_test 10") == 2  # one per score
    assert "Not a finite number in epoch 2" in text
    data = json.loads(parsed.scripts[0])
    assert data["curves"][0]["y"] == [5.0, None, 4.0]
    assert len(data["curves"]) == 2


QUANTITY = RegressionScore(r2=0.5, error=1.25, unit="px", n_test=9, protocol={"protocol": "ridge"})
FEW = Score(top1=0.5, top5=None, per_class={"a": 0.5}, n_test=9, protocol={"protocol": "knn"})
MANY = FEW.model_copy(update={"top5": 0.75})


@pytest.mark.parametrize(
    ("scores", "headings"),
    [
        ([FEW], ["Top-1"]),
        ([FEW, MANY], ["Top-1", "Top-5"]),
        ([QUANTITY], ["R²", "error"]),
        ([FEW, QUANTITY], ["Top-1 or R²", "error"]),
        ([MANY, QUANTITY], ["Top-1 or R²", "Top-5 or error"]),
    ],
)
def test_no_column_of_the_scores_is_empty(
    content: ReportContent, scores: list[AnyScore], headings: list[str]
) -> None:
    html = render(replace(content, scores=scores))
    table = html[html.index("Scores and their protocols") :]
    head = re.findall(r"<th scope=\"col\"[^>]*>([^<]*)</th>", table)
    assert head == ["Features", "Probe", "Data", *headings]
    assert len(re.findall(r"<td class=\"num\">", table)) == len(scores) * len(headings)


def test_each_level_to_compare_with_says_what_it_is(content: ReportContent) -> None:
    """Guessing a class, and an image's label among all others, differ where classes do in size."""
    text = squeezed(Parsed(render(content)).text)
    assert "guessing among 10 classes: 10.0 %" in text
    assert re.search(r"share the image's label .*\(of all other images, \d+\.\d % do\)", text)
    assert "by chance" not in text


def test_every_picture_has_an_alternative_text(content: ReportContent) -> None:
    tags = Parsed(render(content)).tags
    pictures = [a for tag, a in tags if tag == "img" or a.get("role") == "img"]
    assert len(pictures) > 80
    assert all(a.get("alt") or a.get("aria-label") for a in pictures)
    levels = [int(tag[1]) for tag, _ in tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    identifiers = [a["id"] for _, a in tags if "id" in a]
    assert len(identifiers) == len(set(identifiers))


def test_the_map_carries_each_image(content: ReportContent, digits: Embedded) -> None:
    found = json.loads(Parsed(render(content)).scripts[0])["map"]
    assert digits.labels is not None
    assert found["names"] == list(digits.names)
    assert [found["classes"][c]["name"] for c in found["label"]] == [
        f"digit {label}" for label in digits.labels
    ]
    assert len({tuple(corner) for corner in found["corners"]}) == 60


def test_hostile_texts_stay_texts(hostile: ReportContent, hostile_names: list[str]) -> None:
    parsed = Parsed(render(hostile))
    harmless = Parsed(render(replace(hostile, title="t", summary="s", recipe="r", notes=["n"])))
    assert [tag for tag, _ in parsed.tags] == [tag for tag, _ in harmless.tags]
    assert len(parsed.scripts) == 3
    assert not any(name.startswith("on") for _, attrs in parsed.tags for name in attrs)
    assert not any(tag == "img" and "x" in (a.get("src") or "")[:1] for tag, a in parsed.tags)
    assert hostile_names[0] in parsed.text
    assert "{{7*7}}{% raw %}" in parsed.text
    assert json.loads(parsed.scripts[0])["map"]["names"] == list(hostile.embedded.names)  # type: ignore[union-attr]


def test_no_control_character_is_in_the_text_of_the_page(content: ReportContent) -> None:
    name = "a\x00\x1b[2J\x7f\x9b\u202eb"
    changed = replace(content, title=name, summary=name, method={name: name}, recipe=name)
    parsed = Parsed(render(replace(changed, notes=[name])))
    controls = {c for c in parsed.text if not c.isprintable()} - {" ", "\n", "\t", "\xa0"}
    assert not controls & set(name)
    assert "[2J" in parsed.text


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=3, max_size=3))
def test_any_name_arrives_unchanged(names: list[str]) -> None:
    rows = Embedded(np.eye(3), labels=np.arange(3), class_names=names, names=names)
    found = json.loads(Parsed(render(ReportContent("t", embedded=rows))).scripts[0])["map"]
    assert found["names"] == names
    assert [c["name"] for c in found["classes"]] == names


def test_names_that_are_no_text_do_not_stop_the_page(tmp_path: Path) -> None:
    rows = Embedded(np.eye(2), names=["\udcff.png", "b"])
    write_report(ReportContent("\udcff", embedded=rows), tmp_path / "r.html")
    assert (tmp_path / "r.html").read_bytes().decode("utf-8")


def _without(**changes: object) -> Callable[[ReportContent], ReportContent]:
    return lambda content: replace(content, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: ReportContent("empty"), "No epoch was logged."),
        (_without(scores=()), "Nothing was scored"),
        (_without(gallery=None), "No views were stored"),
        (_without(embedded=None), "No embeddings were stored"),
        (_without(recipe=""), "No recipe was stored"),
        (_without(history={"loss": [None]}), "No epoch was logged."),
        (lambda c: replace(c, embedded=replace(c.embedded, labels=None)), "There are no labels"),
        (lambda c: replace(c, embedded=replace(c.embedded, thumbnails=None)), "no thumbnails"),
        (lambda c: replace(c, embedded=c.embedded.take(np.array([3]))), "no second image"),
        (lambda c: replace(c, embedded=c.embedded.take(np.array([], int))), "No embeddings"),
    ],
)
def test_what_is_missing_is_said(
    content: ReportContent, change: Callable[[ReportContent], ReportContent], said: str
) -> None:
    assert said in squeezed(Parsed(render(change(content))).text)


def test_images_of_many_channels_are_shown_as_said(content: ReportContent) -> None:
    assert content.gallery is not None
    assert content.embedded is not None
    assert content.embedded.thumbnails is not None
    many = replace(content.gallery, images=content.gallery.images.repeat(5, axis=-1))
    thumbnails = content.embedded.thumbnails.repeat(2, axis=-1)
    shown = replace(
        content, gallery=many, embedded=replace(content.embedded, thumbnails=thumbnails)
    )
    assert "mean of their channels" in Parsed(render(shown)).text


def test_equal_content_gives_equal_pages(content: ReportContent) -> None:
    assert render(content) == render(content)


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    content: ReportContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def full(self: Path, other: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match=r"report\.html"):
        write_report(content, target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
