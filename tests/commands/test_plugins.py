"""Whose code is imported: what the user names, and nothing that a run folder names."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import yaml

import viewfinder
from viewfinder.commands.main import main
from viewfinder.core import plugins
from viewfinder.core.errors import UserError
from viewfinder.recipes.recipe import build, named_plugins, parse_overrides
from viewfinder.runs.run import Run

SMALL = ["data=digits", "data.limit=100", "epochs=1", "batch_size=32", "accelerator=cpu"]
SMALL += ["logger=none", "evaluation.baselines=false", "evaluation.protocols=[knn]"]
NETS = """
from pathlib import Path
from torch import nn

Path("imported").touch()


class Net(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.AdaptiveAvgPool2d(1))

    def forward(self, x):
        return self.layers(x).flatten(1)


def main():
    Path("called").touch()
"""
HOSTILE = [
    {"encoder": {"name": "dl.net:Net"}},
    {"encoder": {"name": "dl.net:main"}},
    {"encoder": {"name": "own", "factory": "dl.net:Net"}},
    {"plugins": ["dl.net"]},
    {"plugins": "dl.net", "encoder": {"name": "dl.net:Net"}},
    {"encoder": {"name": "os:abort"}},
    {"encoder": {"name": "pip._internal:main"}},
]
COMMANDS = [
    ["evaluate", "RUN"],
    ["evaluate", "RUN", "--data", "digits", "data.limit=50"],
    ["evaluate", "RUN", "--protocol", "transfer", "--data", "digits"],
    ["embed", "RUN", "--data", "digits", "--out", "v.parquet"],
    ["clusters", "digits", "--kmeans", "RUN"],
    ["pretrain", "--resume", "RUN"],
    ["pretrain", "--resume", "RUN", "--print-recipe"],
]


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit code of the command line with these words."""
    monkeypatch.setattr(sys, "argv", ["viewfinder", *words])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(autouse=True)
def _nothing_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of one's own with my_nets.py and dl/net.py, and no plug-in loaded."""
    (tmp_path / "dl").mkdir()
    (tmp_path / "dl" / "net.py").write_text(NETS)
    (tmp_path / "my_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    forget(monkeypatch)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a new process: nothing is loaded or imported."""
    monkeypatch.setattr(plugins, "_loaded", {})
    for name in ("my_nets", "dl", "dl.net", "pip._internal"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    Path("imported").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that needs no plug-in."""
    folder = tmp_path_factory.mktemp("runs") / "plain"
    with pytest.MonkeyPatch.context() as patch:
        words = ["simclr", *SMALL, "encoder.widths=[4,8]", "--out", str(folder)]
        assert run(patch, "pretrain", *words) == 0
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("hostile", HOSTILE, ids=str)
def test_a_run_folder_imports_nothing(
    hostile: dict[str, object],
    command: list[str],
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "downloaded"
    shutil.copytree(trained, folder)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**recipe, **hostile}))
    words = [str(folder) if word == "RUN" else word for word in command]
    assert run(monkeypatch, *words) == 2
    (needed,) = dict.fromkeys(named_plugins(hostile))
    told = capsys.readouterr().err
    assert f"{folder} was made with plugins=[{needed}], and {needed} is not loaded here" in told
    assert f"viewfinder evaluate {folder} plugins={needed}" in told
    assert not Path("imported").exists()
    assert not Path("called").exists()
    assert not {"dl.net", "pip._internal"} & sys.modules.keys()


@pytest.mark.parametrize("function", ["load", "evaluate", "resume", "embed"])
@pytest.mark.parametrize("hostile", HOSTILE, ids=str)
def test_a_function_on_a_run_folder_imports_nothing(
    hostile: dict[str, object], function: str, trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "downloaded"
    shutil.copytree(trained, folder)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**recipe, **hostile}))
    more = ["digits", tmp_path / "v.parquet"] if function == "embed" else []
    with pytest.raises(UserError, match=r"is not loaded here"):
        getattr(viewfinder, function)(folder, *more)
    assert not Path("imported").exists()
    assert not Path("called").exists()
    assert not {"dl.net", "pip._internal"} & sys.modules.keys()


def test_of_a_plugin_that_is_loaded_a_run_can_call_networks_alone(
    trained: Path, tmp_path: Path
) -> None:
    """What the user trusts is a module, not what somebody's recipe picks from it."""
    plugins.load(["dl.net"])
    folder = tmp_path / "downloaded"
    shutil.copytree(trained, folder)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    for name in ("main", "Path", "nn", "__name__", "gone"):
        hostile = {**recipe, "plugins": [], "encoder": {"name": f"dl.net:{name}"}}
        (folder / "recipe.yaml").write_text(yaml.safe_dump(hostile))
        with pytest.raises(UserError, match=r"subclass of torch\.nn\.Module is expected"):
            viewfinder.load(folder)
    assert not Path("called").exists()


def test_a_recipe_built_by_hand_imports_nothing_either(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("encoder: dl.net:Net\n")
    with pytest.raises(UserError, match=r"plugins=\[dl\.net\], and dl\.net is not loaded"):
        Run(tmp_path).recipe()
    assert not Path("imported").exists()
    assert named_plugins(build(None, None, file).plain()) == ["dl.net"]
    assert Path("imported").exists()
    assert Run(tmp_path).recipe().plugins == ["dl.net"]  # it is loaded now


def test_a_run_with_a_network_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is trained, asks for its plug-in, and with it is scored, embedded and continued."""
    folder = str(tmp_path / "own")
    words = ["simclr", *SMALL, "encoder=my_nets:Net", "--out", folder]
    assert run(monkeypatch, "pretrain", *words) == 0
    stored = yaml.safe_load((tmp_path / "own" / "recipe.yaml").read_text())
    assert stored["plugins"] == ["my_nets"]
    assert stored["encoder"] == {"name": "own", "factory": "my_nets:Net"}
    embed = ["embed", folder, "--data", "digits", "--out", "v.parquet", "data.limit=50"]
    commands = [
        ["evaluate", folder],
        ["evaluate", folder, "--protocol", "transfer"],
        embed,
        ["clusters", "digits", "data.limit=50", "--kmeans", folder],
        ["pretrain", "--resume", folder],
        ["pretrain", "--resume", folder, "--print-recipe"],
    ]
    for command in commands:
        forget(monkeypatch)
        assert run(monkeypatch, *command) == 2
        assert "plugins=my_nets" in capsys.readouterr().err
        assert not Path("imported").exists()
        assert run(monkeypatch, *command, "plugins=my_nets") == 0
        assert Path("imported").exists()


def test_resume_takes_no_other_words(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "pretrain", "--resume", str(trained), "epochs=3") == 2
    assert "exactly as it was started" in capsys.readouterr().err


def test_plugins_of_words_and_files_are_loaded_before_the_recipe_is_checked(
    tmp_path: Path,
) -> None:
    (tmp_path / "my_rows.py").write_text(
        "from viewfinder.networks.encoders import ENCODERS, EncoderRow, ConvnetOptions\n"
        "from viewfinder.networks.convnet import ConvNet\n"
        "ENCODERS.add(EncoderRow(name='tiny', summary='two stages', options=ConvnetOptions,\n"
        "    build=lambda options, domain: ConvNet(domain.channels, options.widths[:2])))\n"
    )
    from viewfinder.networks.encoders import ENCODERS

    file = tmp_path / "mine.yaml"
    file.write_text("plugins: [my_rows]\nencoder: {name: tiny, widths: [3, 4, 5]}\n")
    try:
        recipe = build("simclr", None, file)
        assert (recipe.encoder.name, recipe.plugins) == ("tiny", ["my_rows"])
        again = build("simclr", parse_overrides(["plugins=[my_rows]", "encoder=tiny"]))
        assert again.plugins == ["my_rows"]
    finally:
        ENCODERS._rows.pop("tiny", None)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("plugins=no_such_rows", "there is no module no_such_rows"),
        ("plugins=3", "the names of modules are expected"),
        ("plugins=my-rows", "is not the name of a module"),
        ("plugins=broken", "broken cannot be imported: ZeroDivisionError"),
        ("plugins=lacking", "lacking cannot be imported: No module named 'not_installed'"),
        ("encoder=my_nets:Gone", "has nothing of that name"),
    ],
)
def test_mistakes_are_told(
    word: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken.py").write_text("1 / 0\n")
    Path("lacking.py").write_text("import not_installed\n")
    assert run(monkeypatch, "pretrain", "simclr", *SMALL, word, "--out", "never") == 2
    assert says in capsys.readouterr().err


def test_installed_rows_are_loaded_once_and_a_broken_package_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from importlib.metadata import EntryPoint

    found = [
        EntryPoint("nets", "my_nets", plugins.GROUP),
        EntryPoint("gone", "no_such_rows", plugins.GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: found)
    plugins.load_installed.cache_clear()
    with pytest.warns(UserWarning, match="no_such_rows"):
        plugins.load_installed()
    assert plugins.is_loaded("my_nets")
    assert not plugins.is_loaded("no_such_rows")
    plugins.load_installed()  # no second warning
