"""The page in a real browser: it draws, it answers, it asks nobody, it obeys no hostile name."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from viewfinder.report.content import Embedded, ReportContent
from viewfinder.report.page import write_report

Open = Callable[[ReportContent], Any]


class Watched:
    """Pages opened offline from files, and all that went wrong or out of them."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self.context = browser.new_context(offline=True, color_scheme="light")
        self.folder = folder
        self.troubles: list[str] = []

    def open(self, content: ReportContent) -> Any:
        path = self.folder / f"{len(self.context.pages)}.html"
        write_report(content, path)
        page = self.context.new_page()
        page.on("console", lambda m: self.troubles.append(f"console {m.type}: {m.text}"))
        page.on("pageerror", lambda e: self.troubles.append(f"error: {e}"))
        page.on("dialog", lambda d: self.troubles.append(f"dialog: {d.message}"))
        page.on("request", lambda r: self._watch(r.url, path.as_uri()))
        page.goto(path.as_uri())
        return page

    def _watch(self, url: str, own: str) -> None:
        if not url.startswith(("data:", "blob:", own)):
            self.troubles.append(f"request: {url}")


@pytest.fixture(scope="module")
def watched(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    watched = Watched(chromium, tmp_path_factory.mktemp("pages"))
    yield watched
    watched.context.close()


@pytest.fixture
def open_page(watched: Watched) -> Iterator[Open]:
    """Opens a content's page; at the end nothing may have gone wrong or out."""
    yield watched.open
    assert watched.troubles == []


@pytest.fixture(scope="module")
def drawn(watched: Watched, content: ReportContent) -> Any:
    return watched.open(content)


@pytest.fixture
def page(drawn: Any, watched: Watched) -> Iterator[Any]:
    """The page of the digits, drawn once for all tests, with nothing picked or singled out."""
    drawn.bring_to_front()
    drawn.set_viewport_size({"width": 1280, "height": 900})
    drawn.locator("#map").focus()
    drawn.keyboard.press("Escape")
    yield drawn
    assert watched.troubles == []


def points(page: Any) -> Any:
    return page.locator("#map .scatterlayer .trace").first.locator(".point")


def centre(locator: Any) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def seen(locator: Any, side: int) -> np.ndarray:
    """What a tile shows, as grey (side, side): the middle of each of its pixels on the screen."""
    picture = np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("L")).astype(int)
    step = len(picture) // side
    return picture[step // 2 :: step, step // 2 :: step]


def test_the_map_draws_and_hovering_shows_the_image(page: Any, digits: Embedded) -> None:
    assert points(page).count() == 60
    assert page.locator("#card").is_hidden()
    page.mouse.move(*centre(points(page).nth(17)))
    page.locator("#card .tile").wait_for()
    i = int(page.locator("#card .name").inner_text().removeprefix("scan-").removesuffix(".png"))
    assert digits.labels is not None
    assert digits.thumbnails is not None
    assert page.locator("#card .label").inner_text() == f"digit {digits.labels[i]}"
    shown = seen(page.locator("#card .tile"), 8)
    # The outermost pixels are cut by rounded corners.
    difference = shown[1:-1, 1:-1] - digits.thumbnails[i, 1:-1, 1:-1, 0].astype(int)
    assert np.abs(difference).max() <= 2
    page.mouse.move(2, 2)
    page.wait_for_function("document.getElementById('card').hidden")


def test_a_click_shows_the_neighbours(page: Any, digits: Embedded) -> None:
    page.mouse.click(*centre(points(page).nth(5)))
    page.locator("#picked .query").wait_for()
    described = page.locator("#picked .tile").evaluate_all(
        "tiles => tiles.map(t => t.getAttribute('aria-label'))"
    )
    query, *near = [int(text.split("scan-")[1].removesuffix(".png")) for text in described]
    unit = digits.vectors / np.linalg.norm(digits.vectors, axis=1, keepdims=True)
    assert near == [i for i in np.argsort(-unit @ unit[query]).tolist() if i != query][:7]


def test_keys_and_the_legend_work(page: Any) -> None:
    page.locator("#map").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#picked .query .tile").get_attribute("aria-label") == "digit 0, scan-0.png"
    page.keyboard.press("Escape")
    assert page.locator("#picked").inner_text() == ""
    assert page.locator("#legend button").count() == 10
    button = page.locator("#legend button").nth(3)
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    opacity = points(page).evaluate_all("all => all.map(p => Number(getComputedStyle(p).opacity))")
    assert sorted(set(opacity)) == [0.1, 1]
    button.click()
    assert button.get_attribute("aria-pressed") == "false"


def test_curves_draw_in_both_colour_schemes(page: Any) -> None:
    assert page.locator(".curve .scatterlayer .trace").count() == 2
    line = page.locator(".curve .js-line").first
    light = line.evaluate("e => getComputedStyle(e).stroke")
    page.emulate_media(color_scheme="dark")
    # The page hears of the change by an event, a moment later.
    page.wait_for_function(
        "light => getComputedStyle(document.querySelector('.curve .js-line')).stroke !== light",
        arg=light,
    )
    page.emulate_media(color_scheme="light")


def test_a_narrow_screen_is_not_overflowed(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    page.wait_for_function("document.documentElement.scrollWidth <= 360", timeout=10_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_protocols_open(page: Any) -> None:
    scores = page.get_by_text("knn.temperature")  # each score names its own protocol
    assert not any(score.is_visible() for score in scores.all())
    page.locator("#table summary").first.click()
    assert scores.first.is_visible()


def test_hostile_names_are_shown_and_not_obeyed(
    open_page: Open, hostile: ReportContent, hostile_names: list[str]
) -> None:
    page = open_page(hostile)
    assert page.title() != "owned"
    assert points(page).count() == 40
    legend = page.locator("#legend bdi").all_text_contents()
    assert legend == hostile_names
    for i in range(10):
        page.locator("#map").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator("#picked .query bdi").text_content() in hostile_names
        page.mouse.move(*centre(points(page).nth(i)))
    page.locator("#card .name").wait_for()
    assert page.locator("#legend img, #picked img, #card img, #legend script").count() == 0
    assert page.locator("script").count() == 3


def test_an_injected_script_would_not_run(page: Any, watched: Watched) -> None:
    """The second wall: even markup that got in could not execute, by the page's own policy."""
    refused = page.evaluate(
        """() => new Promise(resolve => {
            document.addEventListener('securitypolicyviolation', e => resolve(e.violatedDirective));
            const script = document.createElement('script');
            script.textContent = "document.title = 'owned'";
            document.body.append(script);
        })"""
    )
    assert refused.startswith("script-src")
    assert "Content Security Policy" in watched.troubles.pop()
    assert page.title() != "owned"


def test_an_unlabelled_run_draws(open_page: Open, digits: Embedded) -> None:
    rows = Embedded(digits.vectors, digits.thumbnails)
    page = open_page(ReportContent("unlabelled", embedded=rows))
    assert points(page).count() == 60
    assert page.locator("#legend button").count() == 0


def test_an_empty_run_opens(open_page: Open) -> None:
    page = open_page(ReportContent("empty"))
    assert page.locator(".missing").count() >= 6
