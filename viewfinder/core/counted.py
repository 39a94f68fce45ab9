"""Numbers of things in words."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun, in the singular where it is 1.

    >>> counted(1, "epoch"), counted(25_000, "image"), counted(0, "class", "classes")
    ('1 epoch', '25,000 images', '0 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
