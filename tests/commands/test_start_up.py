"""A command imports what it uses: help and mistakes are told without the engine and the tools."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from viewfinder.commands.cli import app

COMMANDS = tuple(get_command(app).commands)  # type: ignore[attr-defined]
ENGINE = ("lightning", "torchmetrics", "torchvision", "timm", "pandas", "scipy", "sklearn")
TOOLS = (*ENGINE, "matplotlib", "plotly", "faiss", "pyarrow", "tensorboard", "torch._dynamo")
HELP = [[], ["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
QUICK = [
    ["methods"],
    ["methods", "negatives"],
    ["methods", "nothing"],
    ["pretrain", "nothing"],
    ["pretrain", "simclr", "epoch=3"],
    ["pretrain", "simclr", "epochs=0"],
    ["pretrain", "simclr", "--epochs", "3"],
    ["pretrain", "simclr", "negatives=queue"],
    ["pretrain", "simclr", "data=nothing"],
    ["pretrain", "simclr", "data=folder:nothing"],
    ["pretrain", "--resume", "nothing"],
    ["pretrain", "--from", "nothing"],
    ["pretrain", "simclr", "data=shapes", "data.size=16", "--print-recipe"],
    ["evaluate", "nothing"],
    ["evaluate", "nothing", "--protocol", "transfer", "--data", "shapes"],
    ["embed", "nothing", "--data", "shapes", "--out", "z.npy"],
    ["data", "nothing"],
    ["data", "folder:nothing"],
    ["compare", "nothing", "nobody"],
    ["explore", "nothing", "--no-serve"],
    ["group", "nothing", "--same", "nothing"],
    ["clusters", "nothing"],
    ["clusters", "folder:nothing"],
    ["measure", "--run", "nothing"],
    ["measure", "--calibrate", "nothing"],
    ["report", "nothing"],
    ["search", "nothing", "0"],
    ["clean", "nothing"],
    ["sweep", "simclr", "vary=nothing:1,2"],
    ["learn-views", "nothing"],
    ["reproduce", "nothing"],
]
"""What trains and draws nothing: listings, and a mistake of every command."""

AFTER_EACH = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from viewfinder.commands.main import main
lines, heavy = json.loads(sys.argv[1])
found = []
for words in lines:
    sys.argv = ["viewfinder", *words]
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try: main()
        except SystemExit: pass
    found.append([words, [name for name in heavy if name in sys.modules], said.getvalue()])
print(json.dumps(found))
"""


def imported(
    lines: list[list[str]], heavy: tuple[str, ...], where: Path
) -> list[tuple[list[str], list[str], str]]:
    """Of each command line, given one after the other in a new process: what of ``heavy`` is
    imported when it has ended, and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", AFTER_EACH, json.dumps([lines, heavy])],
        capture_output=True,
        text=True,
        cwd=where,
        check=True,
    )
    return [tuple(one) for one in json.loads(done.stdout)]


def test_help_imports_nothing_that_is_heavy(tmp_path: Path) -> None:
    heavy = ("torch", "numpy", "yaml", "PIL", *TOOLS)
    for words, found, said in imported(HELP, heavy, tmp_path):
        assert not found, words
        assert "viewfinder" in said, words


def test_listings_and_mistakes_need_neither_the_engine_nor_the_tools(tmp_path: Path) -> None:
    for words, found, said in imported(QUICK, TOOLS, tmp_path):
        assert not found, words
        assert said.strip(), words


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_among_them(name: str) -> None:
    assert any(words[0] == name for words in QUICK)
