"""Checkpoints: what goes in comes out, half-written ones never count, hostile ones never run."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from viewfinder.core.errors import UserError
from viewfinder.runs.checkpoint import (
    DIGESTS,
    STATE,
    WEIGHTS,
    epochs_done,
    find_last,
    in_order,
    load_into,
    load_state,
    load_weights,
    save,
    write_digests,
)

leaves = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False)
trees = st.recursive(
    leaves | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers(0, 9) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(tree=trees)
def test_state_comes_back_equal_with_its_types(tree: object, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("state") / "epoch-00001"
    save(path, {"w": torch.ones(2)}, {"tree": tree})
    back = load_state(path)["tree"]
    assert back == tree
    assert type(back) is type(tree)


def test_tensors_come_back_bit_identical(tmp_path: Path) -> None:
    state = {"a": {0: torch.tensor([0.1, -0.0, 1e-42])}, "b": [torch.arange(3), torch.tensor(True)]}
    save(tmp_path / "c", {"w": torch.randn(3, 2, dtype=torch.float64)}, state)
    back = load_state(tmp_path / "c")
    assert torch.equal(back["a"][0].view(torch.int32), state["a"][0].view(torch.int32))
    assert back["b"][0].tolist() == [0, 1, 2]
    assert back["b"][1].dtype == torch.bool
    assert load_weights(tmp_path / "c")["w"].dtype == torch.float64


def test_saving_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        save(tmp_path / "epoch-00001", {"w": torch.tensor(value)}, {"epoch": value})
    assert load_state(tmp_path / "epoch-00001")["epoch"] == 2.0
    assert [p.name for p in tmp_path.iterdir()] == ["epoch-00001"]


def test_a_half_written_checkpoint_never_counts(tmp_path: Path) -> None:
    save(tmp_path / "epoch-00002", {"w": torch.ones(1)}, {})
    (tmp_path / ".epoch-00003.partial").mkdir()
    (tmp_path / ".epoch-00003.partial" / STATE).write_bytes(b"")
    (tmp_path / "epoch-00004").mkdir()
    assert find_last(tmp_path) == tmp_path / "epoch-00002"


def test_a_checkpoint_caught_while_being_replaced_is_found(tmp_path: Path) -> None:
    save(tmp_path / "epoch-00002", {"w": torch.ones(1)}, {})
    (tmp_path / "epoch-00002").rename(tmp_path / ".epoch-00002.old")
    last = find_last(tmp_path)
    assert last is not None
    assert load_weights(last)["w"].item() == 1.0


class Bomb:
    def __reduce__(self):  # what unpickling would call
        return (Path("/nonexistent/bomb").touch, ())


@pytest.mark.parametrize("name", [WEIGHTS, STATE])
def test_a_hostile_pickle_is_refused_unread(tmp_path: Path, name: str) -> None:
    save(tmp_path / "c", {"w": torch.ones(1)}, {})
    (tmp_path / "c" / name).write_bytes(pickle.dumps(Bomb()))
    write_digests(tmp_path / "c")  # as whoever gives it away would
    with pytest.raises(UserError, match="not a safetensors file"):
        load_weights(tmp_path / "c") if name == WEIGHTS else load_state(tmp_path / "c")


@pytest.mark.parametrize("keep", [0, 7, 60])
def test_a_truncated_file_is_named(tmp_path: Path, keep: int) -> None:
    save(tmp_path / "c", {"w": torch.ones(100)}, {})
    file = tmp_path / "c" / WEIGHTS
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(UserError, match=WEIGHTS):
        load_weights(tmp_path / "c")


def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "c", {"w": torch.ones(1)}, {"epoch": 1})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("viewfinder.runs.checkpoint.save_file", full)
    with pytest.raises(UserError, match="No space left"):
        save(tmp_path / "c", {"w": torch.zeros(1)}, {"epoch": 2})
    assert load_state(tmp_path / "c")["epoch"] == 1


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({"weight": torch.ones(2, 3)}, "missing"),
        ({"weight": torch.ones(2, 3), "bias": torch.ones(2), "x": torch.ones(1)}, "left over"),
        ({"weight": torch.ones(3, 3), "bias": torch.ones(2)}, "expected"),
        ({"weight": torch.ones(2, 3).double(), "bias": torch.ones(2)}, "expected .* float32"),
        ({"weight": torch.full((2, 3), torch.nan), "bias": torch.ones(2)}, "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        load_into(nn.Linear(3, 2), weights, "the checkpoint")


@pytest.mark.parametrize("name", [WEIGHTS, STATE, DIGESTS])
@pytest.mark.parametrize("damage", ["changed", "cut", "empty", "gone", "folder"])
def test_a_damaged_checkpoint_is_passed_over_and_named(
    name: str, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for epoch in (1, 2):
        save(tmp_path / f"epoch-{epoch:05d}", {"w": torch.ones(9) * epoch}, {"epoch": epoch - 1})
    file = tmp_path / "epoch-00002" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.unlink()
    if damage == "folder":
        file.mkdir()
    elif damage != "gone":
        short = {"changed": content, "cut": content[: len(content) // 2], "empty": b""}
        file.write_bytes(short[damage])
    last = find_last(tmp_path)
    assert last is not None
    assert (last.name, epochs_done(last), load_weights(last)["w"][0]) == ("epoch-00001", 1, 1.0)
    told = capsys.readouterr().out
    assert str(tmp_path / "epoch-00002") in told
    assert "epoch-00001, is used" in told
    read = load_state if name == STATE else load_weights
    with pytest.raises(UserError, match=r"epoch-00002.*Try: remove the folder"):
        read(tmp_path / "epoch-00002")


def test_where_all_are_damaged_none_is_used(tmp_path: Path) -> None:
    assert find_last(tmp_path) is None
    for epoch in (1, 2):
        save(tmp_path / f"epoch-{epoch:05d}", {"w": torch.ones(9)}, {"epoch": epoch - 1})
        (tmp_path / f"epoch-{epoch:05d}" / STATE).write_bytes(b"?")
    with pytest.raises(UserError, match=r"no checkpoint .* is whole.*epoch-00002.*epoch-00001"):
        find_last(tmp_path)


def test_checkpoints_are_compared_as_numbers(tmp_path: Path) -> None:
    for epoch in (9, 99_999, 100_000, 1_000_000):
        save(tmp_path / f"epoch-{epoch:05d}", {"w": torch.ones(1)}, {"epoch": epoch - 1})
    (tmp_path / "epoch-best").mkdir()  # somebody's own
    last = find_last(tmp_path)
    assert last is not None
    assert epochs_done(last) == 1_000_000
    assert [epochs_done(one) for one in in_order(tmp_path)] == [9, 99_999, 100_000, 1_000_000]


@pytest.mark.parametrize("tree", ["{{{", "[" * 100_000, '{"dict": 3}', "[]", '{"tensor": "t9"}'])
def test_a_state_that_is_none_is_named(tree: str, tmp_path: Path) -> None:
    path = tmp_path / "epoch-00001"
    save(path, {"w": torch.ones(1)}, {})
    save_file({}, path / STATE, metadata={"tree": tree})
    write_digests(path)
    with pytest.raises(UserError, match=f"{STATE} is not a Viewfinder checkpoint"):
        load_state(path)
