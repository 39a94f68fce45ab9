"""Pages are what their stored numbers give, and nothing else can be judged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from viewfinder.commands.cli import app
from viewfinder.core.errors import UserError
from viewfinder.papers.registry import judge
from viewfinder.papers.result import BEGIN, END

PAGES = Path(__file__).parents[2] / "docs" / "reproductions"
# a page whose numbers were made before there was a rule is judged when it is run again
JUDGED = [f for f in sorted(PAGES.glob("*.json")) if "rule" in json.loads(f.read_text())]
# so is one whose arms had their weights chosen on the seeds that they were judged on
OUTDATED = {"minimal-sufficient-mib", "minimal-sufficient-supervised"}
STORED = [f for f in JUDGED if f.stem not in OUTDATED]

BARE = json.dumps(
    {
        "experiment": {"name": "carl/fig2"},
        "numbers": {"linear": {"seeds": [1]}},
        "protocol": {},
        "figures": [],
        "notes": [],
    }
)


@pytest.mark.parametrize("file", STORED, ids=lambda f: f.stem)
def test_a_page_is_what_its_numbers_give(file: Path, tmp_path: Path) -> None:
    for suffix in (".json", ".md"):
        shutil.copy(file.with_suffix(suffix), tmp_path)
    judge(json.loads(file.read_text())["experiment"]["name"], tmp_path / file.name)
    for suffix in (".json", ".md"):
        made = (tmp_path / file.name).with_suffix(suffix)
        assert made.read_text() == file.with_suffix(suffix).read_text()


@pytest.mark.parametrize("stem", sorted(OUTDATED))
def test_numbers_of_other_arms_are_refused_and_the_page_is_kept(stem: str, tmp_path: Path) -> None:
    for suffix in (".json", ".md"):
        shutil.copy((PAGES / stem).with_suffix(suffix), tmp_path)
    name = json.loads((tmp_path / stem).with_suffix(".json").read_text())["experiment"]["name"]
    with pytest.raises(UserError, match=r"lacks numbers that .* is judged by"):
        judge(name, (tmp_path / stem).with_suffix(".json"))
    for suffix in (".json", ".md"):
        kept = (tmp_path / stem).with_suffix(suffix)
        assert kept.read_text() == (PAGES / stem).with_suffix(suffix).read_text()


def test_what_was_written_by_hand_is_kept(tmp_path: Path) -> None:
    shutil.copy(PAGES / "carl-fig2.json", tmp_path)
    page = tmp_path / "carl-fig2.md"
    page.write_text(f"before\n{BEGIN}of yesterday\n{END}after\n")
    judge("carl/fig2", tmp_path / "carl-fig2.json")
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}# Figure 2") and text.endswith(f"{END}after\n")
    assert "of yesterday" not in text


def test_the_command_judges_a_folder(tmp_path: Path) -> None:
    shutil.copy(PAGES / "carl-fig2.json", tmp_path / "results.json")
    done = CliRunner().invoke(app, ["reproduce", "carl/fig2", "--judge", "--out", str(tmp_path)])
    assert done.exit_code == 0
    assert "| the paper |" in (tmp_path / "table.md").read_text()


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="carl/fig2 has no stored numbers"):
        judge("carl/fig2", tmp_path)
    shutil.copy(PAGES / "carl-fig2.json", tmp_path / "results.json")
    with pytest.raises(UserError, match="not the numbers of carl/fig3, but of carl/fig2"):
        judge("carl/fig3", tmp_path)
    for broken in ("", "[]", "{}", '{"experiment": {"name": "carl/fig2"}, "numbers": {}}', BARE):
        (tmp_path / "results.json").write_text(broken)
        with pytest.raises(UserError, match=r"results\.json"):
            judge("carl/fig2", tmp_path)
    assert not (tmp_path / "table.md").exists()
