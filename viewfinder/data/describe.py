"""What is in a source, as plain data for a table or a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from viewfinder.core.console import console
from viewfinder.core.counted import counted
from viewfinder.core.errors import one_line
from viewfinder.data.source import Attributes, Data, Source, Split

_LOOKED_AT = 5000
_BLOCK = 256


def statistics(data: Data, most: int = _LOOKED_AT) -> tuple[list[float], list[float]]:
    """Mean and standard deviation, float64: of each channel of images, of pixels in [0, 1]; of
    each coordinate of points. Nothing for data of other kinds.

    Over all data, or over ``most`` evenly spaced ones where there are more.
    """
    rows = np.unique(np.linspace(0, len(data) - 1, min(most, len(data))).round()).astype(int)
    if data.modality == "images":
        return _channel_statistics(data, rows)
    if data.modality == "points":
        points = data.read(rows).double()
        return points.mean(0).tolist(), points.std(0, correction=0).tolist()
    return [], []


def _channel_statistics(images: Data, rows: np.ndarray) -> tuple[list[float], list[float]]:
    """Exact, from histograms of the 256 values."""
    counts = np.zeros((images.shape[0], 256), dtype=np.int64)
    for start in range(0, len(rows), _BLOCK):
        block = images.read(rows[start : start + _BLOCK]).numpy()
        for channel in range(len(counts)):
            counts[channel] += np.bincount(block[:, channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    share = counts / counts.sum(1, keepdims=True)
    mean = share @ values
    variance = (share * (values - mean[:, None]) ** 2).sum(1)
    return mean.tolist(), np.sqrt(variance).tolist()


def entropy_bits(values: np.ndarray) -> float:
    """Entropy in bits of non-negative integers, H = -sum p log2 p with p the observed shares."""
    counts = np.unique(values, return_counts=True)[1]  # a value may be 2**62
    share = counts / len(values)
    return float(abs((share * np.log2(share)).sum())) if len(values) else 0.0


def describe(source: Source) -> dict[str, Any]:
    """Everything ``viewfinder data`` shows, as JSON-able data.

    spec, notes, unreadable [{path, reason}], splits {name: {modality, count, shape, mean, std,
    statistics_over, classes, class_counts {name: n}, unlabelled, label_entropy_bits,
    attributes [{name, values, missing, entropy_bits}], factors}}; what a split does not have is
    None or empty.
    """
    return {
        "spec": source.spec,
        "splits": {name: _describe_split(split) for name, split in source.splits.items()},
        "notes": list(source.notes),
        "unreadable": [{"path": str(path), "reason": reason} for path, reason in source.unreadable],
    }


def _describe_split(split: Split) -> dict[str, Any]:
    mean, std = statistics(split.data)
    counts = _class_counts(split)
    return {
        "modality": split.data.modality,
        "count": len(split),
        "shape": list(split.data.shape),
        "mean": mean,
        "std": std,
        "statistics_over": min(len(split), _LOOKED_AT),
        "classes": None if counts is None else len(counts),
        "class_counts": counts,
        "unlabelled": 0 if split.labels is None else int((split.labels < 0).sum()),
        "label_entropy_bits": None
        if split.labels is None
        else entropy_bits(split.labels[split.labels >= 0]),
        "attributes": [] if split.attributes is None else _describe_attributes(split.attributes),
        "factors": list(split.factors),
    }


def _class_counts(split: Split) -> dict[str, int] | None:
    """How many of each class by its name; classes of one name are told apart by their number."""
    if split.labels is None:
        return None
    known = len(split.class_names) if split.class_names is not None else 0
    counts = np.bincount(split.labels[split.labels >= 0], minlength=known).tolist()
    names = list(split.class_names or map(str, range(len(counts))))
    return {
        name if names.count(name) == 1 else f"{name} ({i})": count
        for i, (name, count) in enumerate(zip(names, counts, strict=True))
    }


def _describe_attributes(attributes: Attributes) -> list[dict[str, Any]]:
    rows = []
    for name, column in zip(attributes.names, attributes.values.T, strict=True):
        known = column[column >= 0]
        rows.append(
            {
                "name": name,
                "values": len(np.unique(known)),
                "missing": len(column) - len(known),
                "entropy_bits": entropy_bits(known),
            }
        )
    return rows


def print_description(description: dict[str, Any]) -> None:
    """Print what ``describe`` found as tables on standard output."""
    from rich.table import Table
    from rich.text import Text

    def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        out = Table(title=Text(one_line(title)), title_justify="left")
        for i, name in enumerate(header):
            out.add_column(name, justify="left" if i == 0 else "right")
        for row in rows:
            out.add_row(*(Text(one_line(cell)) for cell in row))
        console().print(out)

    splits = description["splits"]
    table(
        description["spec"],
        ["split", "data", "shape", "classes", "mean", "std"],
        [
            [
                name,
                f"{split['count']:,} {split['modality']}",
                " x ".join(map(str, split["shape"])),
                "-" if split["classes"] is None else str(split["classes"]),
                _decimals(split["mean"]),
                _decimals(split["std"]),
            ]
            for name, split in splits.items()
        ],
    )
    balance = _balance_rows(splits)
    if balance:
        table("Per class", ["class", *splits], balance)
    for name, split in list(splits.items())[:1]:
        if split["attributes"]:
            table(
                f"Attributes of {name}",
                ["attribute", "values", "missing", "entropy (bits)"],
                [
                    [row["name"], str(row["values"]), str(row["missing"]), _bits(row)]
                    for row in split["attributes"]
                ],
            )
    if description["unreadable"]:
        shown = description["unreadable"][:20]
        count = len(description["unreadable"])
        table(
            counted(count, "unreadable file") + (f", the first {len(shown)}" if count > 20 else ""),
            ["file", "reason"],
            [[item["path"], item["reason"]] for item in shown],
        )
    for note in description["notes"]:
        console().print(Text(f"* {one_line(note)}"))


def _bits(row: dict[str, Any]) -> str:
    return f"{row['entropy_bits']:.3f}"


def _decimals(values: Sequence[float]) -> str:
    shown = " ".join(f"{value:.2f}" for value in values[:4])
    return shown + (" ..." if len(values) > 4 else "")


def _balance_rows(splits: dict[str, Any], most: int = 30) -> list[list[str]]:
    """One row per class; of many classes the largest and the smallest of train."""
    counted = [split["class_counts"] for split in splits.values() if split["class_counts"]]
    if not counted:
        return []
    names = list(dict.fromkeys(name for counts in counted for name in counts))

    def cell(split: dict[str, Any], name: str) -> str:
        return "-" if split["class_counts"] is None else str(split["class_counts"].get(name, 0))

    rows = [[name, *(cell(split, name) for split in splits.values())] for name in names]
    if len(rows) <= most:
        return rows
    rows.sort(key=lambda row: -counted[0].get(row[0], 0))
    gap = [f"... {len(rows) - most} more", *("" for _ in splits)]
    return [*rows[: most // 2], gap, *rows[-(most - most // 2) :]]
