"""The documentation's Python runs, its links lead somewhere, and it says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_code_of_a_page_runs(
    page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from viewfinder.objectives.registry import OBJECTIVES

    monkeypatch.chdir(tmp_path)  # a page may write the files that it speaks of
    before = dict(OBJECTIVES)
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    try:
        exec(compile("\n".join(blocks), str(page), "exec"), {"__name__": page.stem})
        assert set(before) <= set(OBJECTIVES)
    finally:
        OBJECTIVES.clear()
        OBJECTIVES.update(before)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_pictures_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.fixture(scope="module")
def generated() -> dict[Path, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        import generate

        return generate.pages()


def test_generated_pages_are_up_to_date(generated: dict[Path, str]) -> None:
    stale = [file.name for file, text in generated.items() if file.read_text() != text]
    assert not stale, "run: python docs/generate.py"


def test_every_method_and_regularizer_has_a_page(generated: dict[Path, str]) -> None:
    from viewfinder.methods import METHODS
    from viewfinder.recipe_parts import Regularizers

    regularizers = set(Regularizers.model_fields) - {"noise"}  # told with mib
    for folder, names in (("methods", set(METHODS)), ("regularizers", regularizers)):
        assert {file.stem for file in generated if file.parent.name == folder} == names
        assert {file.stem for file in (ROOT / "docs" / folder).glob("*.md")} == names


def test_keys_that_the_pages_name_are_keys_of_a_recipe() -> None:
    from viewfinder.recipe import keys, parts

    known = {*keys(), *parts()}
    starts = "|".join(parts())
    for page in PAGES:
        code = " ".join(re.findall(r"`([^`]+)`", page.read_text()))
        named = set(re.findall(rf"(?<![\w.])((?:{starts})\.[a-z_.]+)(?==)", code))
        flat = {re.sub(r"^views\.(first|second)\.", "views.", key) for key in named}
        assert flat <= known, page.name
