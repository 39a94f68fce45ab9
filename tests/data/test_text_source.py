"""Sentences of a text file, and what is no such file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from viewfinder.core.errors import UserError
from viewfinder.data.source import words_of
from viewfinder.data.sources.table import open_source
from viewfinder.recipes.recipe import build, parse_overrides, vocabulary
from viewfinder.runs.opening import check_kind, with_data

LINES = "\n".join(f"word{i} other" for i in range(20))


def text(folder: Path, content: str | bytes) -> str:
    file = folder / "some.txt"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return f"text:{file}"


def test_words_are_numbered_by_frequency_and_sentences_filled_up(tmp_path: Path) -> None:
    source = open_source(text(tmp_path, "b a b\n\n  \na c\tb é\n" + "a b\n" * 3))
    data = source.train.data.whole  # type: ignore[attr-defined]
    assert words_of(source.train.data) == words_of(data) == ("b", "a", "c", "é")
    assert (data.modality, data.shape, len(data)) == ("tokens", (4,), 5)
    assert data.tensor.dtype == torch.int64
    assert data.tensor[:3].tolist() == [[0, 1, 0, 4], [1, 2, 0, 3], [1, 0, 4, 4]]
    assert source.train.labels is None
    assert len(source.train) == 4 and source.test is not None and len(source.test) == 1


def test_windows_line_ends_and_a_byte_order_mark_are_no_words(tmp_path: Path) -> None:
    source = open_source(text(tmp_path, b"\xef\xbb\xbfone two\r\ntwo three\r\n"))
    assert sorted(words_of(source.train.data)) == ["one", "three", "two"]


def test_a_long_sentence_is_cut_with_a_note(tmp_path: Path) -> None:
    source = open_source(text(tmp_path, " ".join(map(str, range(500))) + "\na b\nc d\n"))
    assert source.train.data.shape == (128,)
    assert any("1 sentence of" in note and "cut to 128 words" in note for note in source.notes)


def test_a_limit_takes_sentences_and_leaves_the_vocabulary(tmp_path: Path) -> None:
    spec = text(tmp_path, "\n".join(f"word{i} and other" for i in range(100)))
    whole, part = open_source(spec), open_source(spec, limit=20)
    assert len(part.train) + len(part.test) == 20  # type: ignore[arg-type]
    assert words_of(part.train.data) == words_of(whole.train.data)


def test_another_vocabulary_has_another_name() -> None:
    names = {vocabulary(words) for words in (("a", "b"), ("b", "a"), ("a", "b", "c"), ("a b",))}
    assert len(names) == 4


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "0 sentences of 0 words; at least two sentences"),
        (" \n\t\n", "0 sentences of 0 words"),
        ("hello hello\nhello", "2 sentences of 1 word; .* two different words"),
        ("one line alone", "1 sentence of 3 words"),
        (b"caf\xe9 au lait\nb c", "not UTF-8: byte 0xe9 at position 3.*iconv"),
    ],
)
def test_what_no_model_learns_from_is_refused_by_name(
    content: str | bytes, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=rf"some.txt .*{says}"):
        open_source(text(tmp_path, content))


def test_a_method_for_sentences_says_so_of_other_data() -> None:
    recipe = build("mlm", parse_overrides(["data=digits", "data.limit=40"]))
    with pytest.raises(UserError, match=r"mlm is a method for tokens.*Try: data=text:PATH"):
        with_data(recipe)


def test_a_run_takes_no_text_of_another_vocabulary(tmp_path: Path) -> None:
    words = [f"data={text(tmp_path, LINES)}", "batch_size=8"]
    recipe, source = with_data(build("mlm", parse_overrides(words)))
    assert (recipe.data.words, recipe.domain.words, recipe.domain.shape) == (21, 21, (2,))
    check_kind(recipe, source)
    other = open_source(text(tmp_path, LINES.replace("word7", "wort7")))
    with pytest.raises(UserError, match=r"another vocabulary \(21 words\)"):
        check_kind(recipe, other)


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not there"):
        open_source(f"text:{tmp_path}/no.txt")
    with pytest.raises(UserError, match="is a folder"):
        open_source(f"text:{tmp_path}")
    with pytest.raises(UserError, match=r"data\.size converts images, but text holds tokens"):
        open_source(text(tmp_path, "a b\nc d"), size=32)
