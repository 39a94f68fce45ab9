"""What a mistake is answered with: the word that was probably meant, in plain English."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from viewfinder.commands.main import main
from viewfinder.commands.methods import TABLES
from viewfinder.core.errors import SHOWN, UserError, unknown
from viewfinder.data.decode import UnreadableImageError, decode


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with photos/, tags.csv and a link that leads nowhere."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (6, 9, 9, 3), dtype=np.uint8)
    for i, pixels in enumerate(noise):
        Image.fromarray(pixels).save(f"photos/{i}.png")
    lines = "".join(f"{i}.png,{i % 2},{i % 3}\n" for i in range(6))
    Path("tags.csv").write_text("path,kind,colour\n" + lines)
    Path("photos/gone.png").symlink_to(tmp_path / "elsewhere.png")
    return tmp_path


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["viewfinder", *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("pretrain simclr view.flip=0", "unknown key view.flip. Did you mean views.flip=0?"),
        ("pretrain simclr optimiser.lr=1", "Did you mean optimizer.lr=1?"),
        ("pretrain simclr data=phots", "Try: data=photos"),
        ("pretrain simclr data=folder:phots", "Try: folder:"),
        ("data phots", "Try: data=photos"),
        ("data folder:phots", "Try: folder:photos"),
        ("data nope.jpg", "there is no 'nope.jpg'"),
        ("clusters folder:photos --attributes tagz.csv", "no file tagz.csv. Try: tags.csv"),
        ("clusters folder:photos", "--attributes FILE.csv"),
        ("clusters folder:photos --attributes tags.csv positives.columns=[knid]", "kind"),
        ("clusters folder:photos --z tagz.csv", "no file tagz.csv. Try: tags.csv"),
        ("data folder:photos data.labels=tagz.csv", "no file tagz.csv. Try: tags.csv"),
        ("data folder:photos data.labels=tags.csv", "Try: data.label_column=kind"),
        ("data folder:photos data.label_column=kind", "Try: data.labels=FILE.csv"),
        ("evaluate run --protocol transfr", "Did you mean 'transfer'?"),
        ("evaluate run --protocol other", "moco, simclr, transfer"),
        ("embed run", "viewfinder embed runs/photos --data folder:photos"),
        ("embed", "viewfinder embed runs/photos --data folder:photos"),
        ("clusters folder:photos --value x", "a whole number is expected"),
        ("measure --seeds 0 --run r", "Invalid value for '--seeds'"),
        ("pretrain simclr epochs=x", "epochs is 'x': a whole number is expected"),
        ("pretrain simclr epochs=0", "epochs is 0: at least 1 is expected"),
        ("pretrain simclr logger=x", "'tensorboard', 'wandb' or 'none' is expected"),
        ("pretrain simclr data.strict=x", "true or false is expected"),
        ("pretrain simclr views.steps=[jitter:x]", "views.steps"),
        ("pretrain simclr encoder=os:path --print-recipe", "encoder 'os:path'"),
        ("pretrain simclr encoder=resnt18 --print-recipe", "Did you mean 'resnet18'?"),
        ("data digits data.size=16384", "more memory than there is. Try: a smaller data.size"),
    ],
)
def test_a_mistake_names_what_was_meant(
    words: str,
    said: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = told(monkeypatch, capsys, *words.split())
    assert said in message
    for jargon in ("Input should", "unable to parse", "positives.file=PATH", "Error:\n"):
        assert jargon not in message


def test_what_is_no_link_is_not_called_one(here: Path) -> None:
    with pytest.raises(UnreadableImageError, match="no such file"):
        decode(here / "nope.jpg", 8, 3)
    with pytest.raises(UnreadableImageError, match=r"a link to .*elsewhere\.png"):
        decode(here / "photos" / "gone.png", 8, 3)


@pytest.mark.parametrize("part", TABLES)
def test_no_table_is_printed_whole_for_one_wrong_name(part: str) -> None:
    table = TABLES[part]
    with pytest.raises(UserError) as caught:
        table.find("zzz")
    shown = caught.value.message.partition("Known: ")[2]
    assert sum(name in shown.replace(",", " ").split() for name in table) <= SHOWN
    assert ("viewfinder methods" in shown) == (len(table) > SHOWN)


def test_the_nearest_of_many_are_shown_and_the_others_counted() -> None:
    names = [f"{letter}{i}" for letter in "abc" for i in range(10)]
    message = unknown("row", "b", names, "`list` shows all").message
    known = message.partition("Known: ")[2]
    assert all(name.startswith("b") for name in known.partition(" and ")[0].split(", "))
    assert known.endswith("and 22 more; `list` shows all")
