"""The documentation's Python runs, its links lead somewhere, and it says what the code does."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what pages take for granted: finished runs, their embeddings, images as npz."""
    from viewfinder.commands.embed import embed
    from viewfinder.commands.pretrain import pretrain
    from viewfinder.commands.words import recipe_of
    from viewfinder.data.sources.table import open_source

    folder = tmp_path_factory.mktemp("workplace")
    out = folder / "runs" / "simclr-0"
    words = [
        "simclr",
        "data=digits",
        "data.limit=200",
        "epochs=1",
        "encoder.widths=[4,8]",
        "logger=none",
    ]
    words += ["accelerator=cpu", "evaluation.protocols=[knn]", "evaluation.baselines=false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("VIEWFINDER_RUN", raising=False)
        run = pretrain(recipe_of(words), out)
        patch.delenv("VIEWFINDER_RUN", raising=False)
    embed(run, "digits", folder / "photos.parquet", {"data": {"limit": 200}})
    for copy in ("simclr-1", "photos"):
        shutil.copytree(out, folder / "runs" / copy)
    digits = open_source("digits", limit=200)
    (folder / "sets" / "mnist").mkdir(parents=True)
    for name, split in digits.splits.items():
        pixels = split.data.read(np.arange(len(split))).permute(0, 2, 3, 1).numpy()
        np.savez(folder / "sets" / "mnist" / f"{name}.npz", images=pixels, labels=split.labels)
    return folder


@pytest.mark.usefixtures("own_rows")
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_the_code_of_a_page_runs(
    page: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(workplace, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)  # a page may write the files that it speaks of
    exec(compile("\n".join(blocks(page, "python")), str(page), "exec"), {"__name__": page.stem})


NEEDING = [
    (page, module, block)
    for page in PAGES
    for module, block in re.findall(
        r"```python needs (\w+)\n(.*?)```", page.read_text(), flags=re.DOTALL
    )
]


@pytest.mark.parametrize(("page", "module", "block"), NEEDING, ids=[m for _, m, _ in NEEDING])
def test_code_that_needs_a_library_runs_where_it_is(
    page: Path, module: str, block: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(module, reason=f"{page.name}: {module} is not installed")
    monkeypatch.chdir(workplace)
    exec(compile(block, str(page), "exec"), {"__name__": page.stem})


def pretrain_commands(page: Path) -> Iterator[list[str]]:
    """The words after ``viewfinder pretrain`` wherever a page has it, in blocks and in lines.

    Left out are those with a variable of the shell in the place of whole words.
    """
    text = re.sub(r"\s*\\\n\s*", " ", page.read_text())
    for found in re.findall(r"viewfinder(?:\.cli)? pretrain\b([^`\n]*)", text):
        words = shlex.split(found.replace("$s", "1"), comments=True)
        if not any(word.startswith("$") for word in words):
            yield [word.rstrip(";") for word in words]


@pytest.mark.usefixtures("own_rows")
@pytest.mark.parametrize(
    "page", [p for p in PAGES if list(pretrain_commands(p))], ids=lambda p: p.name
)
def test_the_recipes_of_commands_are_sound(
    page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from typer.main import get_command

    from viewfinder.commands.cli import app
    from viewfinder.commands.words import recipe_of
    from viewfinder.recipes.check import check_parts

    for block in blocks(page, "yaml"):  # the first line names the file
        (tmp_path / re.match(r"# ([\w.-]+)", block)[1]).write_text(block)
    for block in blocks(page, "python"):
        if name := re.match(r"# (\w+\.py)$", block, re.MULTILINE):
            (tmp_path / name[1]).write_text(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    command = get_command(app).commands["pretrain"]
    for words in pretrain_commands(page):
        given = command.make_context("pretrain", words).params
        if given["resume"] is not None or str(given["recipe"]) == "FILE":
            continue
        file = given["recipe"]
        if file is not None and not file.exists():
            file = ROOT / file
        check_parts(recipe_of(given["words"] or [], file))


def test_the_recipes_of_views_are_sound() -> None:
    from viewfinder.commands.words import view_recipe_of

    found = []
    for page in PAGES:
        commands = "\n".join(blocks(page, "sh"))
        for words in re.findall(r"viewfinder learn-views\b(.*)", commands):
            given = shlex.split(words.partition("--")[0], comments=True)
            found += [view_recipe_of(given)] if given else []
    assert {recipe.method for recipe in found} >= {"semi-supervised", "unsupervised", "supervised"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_rows_of_tables_have_as_many_cells_as_their_header(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for table in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        header, *rows = table.splitlines()
        cells = len(re.findall(r"(?<!\\)\|", header))
        assert not [row for row in rows if len(re.findall(r"(?<!\\)\|", row)) != cells]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_pictures_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_names_of_how_it_fits_together_exist() -> None:
    """Modules, their functions and classes, and the methods of those."""
    from importlib import import_module
    from importlib.util import find_spec

    page = (ROOT / "docs" / "how-it-fits-together.md").read_text()
    names = re.findall(r"`(viewfinder(?:\.\w+)+)`", page)
    assert len(names) > 50
    for name in names:
        path, steps = name, []
        while not (path == "viewfinder" or _is_module(find_spec, path)):
            path, _, last = path.rpartition(".")
            steps.insert(0, last)
        found = import_module(path)
        for step in steps:
            assert hasattr(found, step), name
            found = getattr(found, step)
    assert len(page.split()) < 1000  # two pages


def _is_module(find_spec: Callable[[str], object], path: str) -> bool:
    try:
        return find_spec(path) is not None
    except ModuleNotFoundError:  # what is before the last dot is no package
        return False


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
    from viewfinder.recipes.methods import METHODS
    from viewfinder.regularizers import REGULARIZERS

    for folder, names in (("methods", set(METHODS)), ("regularizers", set(REGULARIZERS))):
        assert {file.stem for file in generated if file.parent.name == folder} == names
        assert {file.stem for file in (ROOT / "docs" / folder).glob("*.md")} == names


@pytest.mark.usefixtures("own_rows")
def test_keys_that_the_pages_name_are_keys_of_a_recipe() -> None:
    from viewfinder.recipes.recipe import keys, parts

    own = ROOT / "docs" / "own-method.md"  # its rows have keys too
    exec(compile("\n".join(blocks(own, "python")), str(own), "exec"), {"__name__": own.stem})
    known = {*keys(), *parts()}
    starts = "|".join(parts())
    for page in PAGES:
        code = " ".join(re.findall(r"`([^`]+)`", page.read_text()))
        named = set(re.findall(rf"(?<![\w.])((?:{starts})\.[a-z_.]+)(?==)", code))
        flat = {re.sub(r"^views\.(first|second)\.", "views.", key) for key in named}
        assert flat <= known, page.name
