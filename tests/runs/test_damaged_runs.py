"""Whatever is wrong with a file of a run folder, a command is right, or says which file it is.

Every file that a run leaves meets every damage that its kind can have: a new kind of file joins by
lying in the folder.
"""

from __future__ import annotations

import io
import json
import pickle
import random
import resource
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from viewfinder import api
from viewfinder.commands import pretrain as training
from viewfinder.commands.embed import embed
from viewfinder.commands.evaluate import evaluate
from viewfinder.core.errors import UserError
from viewfinder.recipes.recipe import build
from viewfinder.report.gather import gather
from viewfinder.report.page import write_report
from viewfinder.runs.checkpoint import WEIGHTS, write_digests
from viewfinder.runs.own_data import sign
from viewfinder.runs.run import Run

TINY = {
    "data": {"source": "digits", "limit": 60},
    "epochs": 2,
    "batch_size": 16,
    "logger": "none",
    "accelerator": "cpu",
    "encoder": {"widths": [4]},
    "head": {"projector": [4]},
    "views": {"size": 8},
    "evaluation": {"baselines": False, "protocols": ["knn"]},
}
LONGEST = 3000
"""Characters of a message, at most."""
MEMORY = 2**30

Damage = Callable[[Path, random.Random], None]
PHOTOS = [np.full((8, 8), 20 * i, np.uint8) for i in range(4)]


# What can happen to a file of any kind.


def flipped(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes() or b"?")
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def cut(file: Path, rng: random.Random) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: rng.randrange(len(content) or 1)])


def emptied(file: Path, rng: random.Random) -> None:
    file.write_bytes(b"")


def noise(file: Path, rng: random.Random) -> None:
    file.write_bytes(rng.randbytes(2000))


def gone(file: Path, rng: random.Random) -> None:
    file.unlink()


def folder(file: Path, rng: random.Random) -> None:
    file.unlink()
    file.mkdir()


class Bomb:
    def __reduce__(self) -> Any:
        return sys.exit, ("code of a run folder was executed",)


def pickled(file: Path, rng: random.Random) -> None:
    file.write_bytes(pickle.dumps(Bomb()))


# What can happen to a file that is still one of its kind.


def text(content: str) -> Damage:
    return lambda file, rng: file.write_text(content) and None


def other_leaves(file: Path, rng: random.Random) -> None:
    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: changed(one) for key, one in value.items()}
        if isinstance(value, list):
            return [changed(one) for one in value]
        return rng.choice([None, "x" * 10_000, -1, 1e400, [], {}, True])

    file.write_text(json.dumps(changed(json.loads(file.read_text()))))


def header(size: int, content: bytes) -> Damage:
    return lambda file, rng: file.write_bytes(size.to_bytes(8, "little") + content) and None


def tensors(change: Callable[[torch.Tensor], torch.Tensor], tree: str | None = None) -> Damage:
    def damage(file: Path, rng: random.Random) -> None:
        with safe_open(file, framework="pt") as opened:
            about = opened.metadata() or {}
        if tree is not None:
            about = {**about, "tree": tree}
        save_file({k: change(v).contiguous() for k, v in load_file(file).items()}, file, about)

    return damage


def fewer_tensors(file: Path, rng: random.Random) -> None:
    with safe_open(file, framework="pt") as opened:
        about = opened.metadata() or {}
    kept = load_file(file)
    kept.pop(rng.choice(sorted(kept)))
    save_file(kept, file, about)


def cells(value: str) -> Damage:
    def damage(file: Path, rng: random.Random) -> None:
        first, *rest = file.read_text().splitlines()
        rows = [",".join(value for _ in line.split(",")) for line in rest]
        file.write_text("\n".join([first, *rows]))

    return damage


def arrays(change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    def damage(file: Path, rng: random.Random) -> None:
        with np.load(file) as opened:
            changed: dict[str, Any] = {name: change(opened[name]) for name in opened.files}
        np.savez(file, **changed)

    return damage


def zip_bomb(file: Path, rng: random.Random) -> None:
    """A gigabyte and a half of zeros, in as many kilobytes."""
    with np.load(file) as opened:
        names = opened.files
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            head = io.BytesIO()
            shape = {"descr": "|u1", "fortran_order": False, "shape": (3 * 2**29,)}
            np.lib.format.write_array_header_1_0(head, shape)
            packed.writestr(f"{name}.npy", head.getvalue() + bytes(1000))


def endless_shape(file: Path, rng: random.Random) -> None:
    zip_bomb(file, rng)
    file.write_bytes(file.read_bytes().replace(b"1610612736", b"9999999999"))


DEEP = "[" * 50_000
ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
ANY: list[Damage] = [flipped, cut, emptied, noise, gone, folder, pickled]
OF_KIND: dict[str, list[Damage]] = {
    ".json": [other_leaves, *map(text, ("[]", "{}", "3", "null", DEEP, '{"a": NaN}', "9" * 5000))],
    ".yaml": [
        *map(text, ("{{{", "3", "- a", DEEP, ALIASES, "&a [*a]", "1: 2", "x" * 2**21)),
        *map(text, ("when: 2020-99-99", "epochs: .nan", "encoder: {name: [1]}", "views: 3")),
        text("encoder: " + "x" * 100_000),
        text("epochs: " + "9" * 5000),
    ],
    ".safetensors": [
        *(header(size, b"{{{") for size in (2**62, 2**27, 3, 0)),
        tensors(lambda x: x.double()),
        tensors(lambda x: x.bool()),
        tensors(lambda x: x * torch.nan if x.is_floating_point() else x),
        tensors(lambda x: x[None]),
        tensors(lambda x: x, "{{{"),
        tensors(lambda x: x, DEEP),
        tensors(lambda x: x, '{"dict": []}'),
        tensors(lambda x: x, '{"dict": [["epoch", 0]]}'),
        tensors(lambda x: x, '{"dict": [["epoch", "x"]]}'),
        fewer_tensors,
    ],
    ".csv": [*map(cells, ("nan", "x", "1e999", "", '"')), text("a,b\n" + "9" * 200_000)],
    ".npz": [
        zip_bomb,
        endless_shape,
        arrays(lambda x: x.astype(object)),
        arrays(lambda x: x[None]),
        arrays(lambda x: x.astype(np.str_)),
        arrays(lambda x: x * np.nan if x.dtype.kind == "f" else x),
        arrays(lambda x: x[:0] if x.ndim else x),
    ],
}


def features(run: Path) -> torch.Tensor:
    return api.load(run).encode(PHOTOS)


def scores(run: Path) -> list[float]:
    return [one.top1 for one in evaluate(Run(run))]


def rows(run: Path) -> int:
    return embed(Run(run), "digits", run / "v.parquet", {"data": {"limit": 60}})


def resumed(run: Path) -> torch.Tensor:
    training.resume(run)
    return features(run)


def report(run: Path) -> int:
    write_report(gather(run), run / "again.html")
    return (run / "again.html").stat().st_size > 1000


COMMANDS: list[Callable[[Path], Any]] = [features, scores, features, rows, resumed, report]
READ_BY: dict[str, Callable[[Path], Any]] = {".npz": report, ".csv": report}
"""Of kinds of files that one command alone reads; else the commands take turns."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs of which two are done, scored and with a report."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    training.pretrain(build("simclr", TINY), run)
    text = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(text.replace("epochs: 2\n", "epochs: 3\n"))
    sign(Run(run))
    return run


def damages(run: Path) -> Iterator[tuple[Path, Damage, bool]]:
    """Every file of a run with everything that may have happened to it, and whether whoever did it
    has made the digests anew."""
    files = sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file())
    for file in files:
        if "epoch-00001" in file.parts:  # as the next
            continue
        listed = file.parent.name.startswith("epoch-") and file.suffix == ".safetensors"
        for damage in ANY:
            yield file, damage, False
        for damage in OF_KIND.get(file.suffix, []):
            yield file, damage, listed


def test_a_command_on_a_damaged_run_is_right_or_names_the_file(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = {
        command: command(shutil.copytree(whole, tmp_path / command.__name__))
        for command in dict.fromkeys(COMMANDS)
    }
    earlier = shutil.copytree(whole, tmp_path / "earlier")
    shutil.rmtree(earlier / "checkpoints" / "epoch-00002")
    before = features(earlier)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    turn, wrong = cycle(COMMANDS), []
    run = tmp_path / "run"
    for number, (file, damage, signed) in enumerate(damages(whole)):
        shutil.copytree(whole, run)
        damage(run / file, random.Random(number))
        if signed:
            write_digests((run / file).parent)
        command = resumed if signed else READ_BY.get(file.suffix) or next(turn)
        capsys.readouterr()
        case = f"{command.__name__} with {file} {getattr(damage, '__name__', '')} {number}"
        try:
            found = command(run)
        except UserError as error:
            if len(str(error)) > LONGEST:
                wrong.append(f"{case}: {len(str(error))} characters")
            if file.name not in str(error) and file.name != "recipe.yaml":
                wrong.append(f"{case}: {error} does not name it")
        except BaseException as error:
            wrong.append(f"{case}: {type(error).__name__}: {str(error)[:300]}")
        else:
            told = capsys.readouterr().out
            right = same(found, expected[command])
            if not right and "note:" not in told and not signed:
                wrong.append(f"{case}: another result, and not a word")
            if command is features and file.name == WEIGHTS and not signed and not right:
                assert same(found, before), case
        shutil.rmtree(run)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak)
    assert not wrong, "\n".join(wrong)
    assert grown < MEMORY


def same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)
