"""Tables as CSV that is read back as it was: names of files may hold whatever a cell ends with."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV with lines that end in a newline; to be read with ``newline=""``.

    >>> csv_text([["path", "label"], ["a,b.png", 1]])
    'path,label\\n"a,b.png",1\\n'
    """
    found = []
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow(row)  # which has both quoted in a cell
        found.append(f"{line.getvalue()[:-2]}\n")
    return "".join(found)
