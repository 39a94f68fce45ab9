"""Sentences of a text file, one per line, as words of its own vocabulary."""

from __future__ import annotations

from collections import Counter

import torch

from viewfinder.core.errors import UserError
from viewfinder.core.files import path_of
from viewfinder.data.options import ReadOptions
from viewfinder.data.source import Source, Split
from viewfinder.data.splits import limited_rows
from viewfinder.data.stored import ArrayData, Subset

LONGEST = 128
"""Words of a sentence; what is beyond is cut."""


def read_text(path: str, how: ReadOptions) -> Source:
    """The sentences of a UTF-8 file, one per line, int64 (N, T): words are what blanks separate.

    The vocabulary is all words of the file, the most frequent first, words of one frequency in the
    order of their code points; a word's number is its place in it. Behind them stand the number
    that fills sentences up to the longest, and that of the mask (``viewfinder.data.domain``). Empty
    lines are no sentences.

    Raises UserError for a file that is not there, is not UTF-8, or has fewer than two sentences or
    words.
    """
    file = path_of(path)
    if not file.is_file():
        told = "is a folder" if file.is_dir() else "is not there"
        raise UserError(f"text:{path} {told}; a text file is expected", fix="text:FILE.txt")
    try:
        lines = file.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8: byte {error.object[error.start]:#04x} at position {error.start}",
            fix=f"iconv -f latin1 -t utf-8 {path}",
        ) from error
    sentences = [words for line in lines if (words := line.split())]
    counts = Counter(word for words in sentences for word in words)
    if len(sentences) < 2 or len(counts) < 2:
        raise UserError(
            f"{path} holds {_many(len(sentences), 'sentence')} of {_many(len(counts), 'word')}; at "
            "least two sentences, one per line, of at least two different words are expected"
        )
    words = sorted(counts, key=lambda word: (-counts[word], word))
    number = {word: i for i, word in enumerate(words)}
    longest = min(LONGEST, max(map(len, sentences)))
    tokens = torch.full((len(sentences), longest), len(words))
    for row, own in zip(tokens, sentences, strict=True):
        kept = own[:LONGEST]
        row[: len(kept)] = torch.tensor([number[word] for word in kept])
    cut = sum(len(own) > LONGEST for own in sentences)
    notes = [f"{_many(cut, 'sentence')} of {path} cut to {LONGEST} words"] if cut else []
    rows, note = limited_rows(len(tokens), None, "train", how)
    data = ArrayData(tokens, "tokens", words=tuple(words))
    kept_data = data if note is None else Subset(data, rows)
    return Source(
        f"text:{path}",
        {"train": Split("train", kept_data)},
        notes=notes if note is None else [*notes, note],
    )


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
