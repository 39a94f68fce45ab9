"""The one exception that means "the user can mend this"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """A mistake in the input: what was met, what was expected, and what to do about it.

    The command line prints the message alone, without a traceback, and exits with code 2.

    >>> raise UserError("data.size is -3; a positive side in pixels is expected",
    ...                 fix="data.size=32")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UserError: data.size is -3; a positive side in pixels is expected. Try: data.size=32
    """

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        self.message = _cut(message, 2_000)
        self.fix = fix = fix and _cut(fix, 1_000)
        super().__init__(f"{self.message.rstrip('.')}. Try: {fix}" if fix else self.message)


class OptionError(UserError):
    """A mistake in the options of a part, which a recipe writes with the part in front of them.

    Each ``@`` of the message and the fix stands for that: for nothing in a loop of one's own, and
    for what ``within`` is given in a recipe. ``own`` is the fix in such a loop where it is another.

    >>> error = OptionError("@size is 3; at least 4 px are expected", fix="@size=32")
    >>> print(error)
    size is 3; at least 4 px are expected. Try: size=32
    >>> print(error.within("views."))
    views.size is 3; at least 4 px are expected. Try: views.size=32
    """

    def __init__(self, message: str, *, fix: str | None = None, own: str | None = None) -> None:
        self.marked = message, fix
        shown = fix if own is None else own
        super().__init__(message.replace("@", ""), fix=shown and shown.replace("@", ""))

    def within(self, part: str) -> UserError:
        """The same as a recipe has it, whose keys begin with ``part``."""
        message, fix = self.marked
        return UserError(message.replace("@", part), fix=fix and fix.replace("@", part))


@contextmanager
def within(part: str) -> Iterator[None]:
    """Options are those of a recipe here, whose keys begin with ``part``."""
    try:
        yield
    except OptionError as error:
        raise error.within(part) from error


class UnknownNameError(UserError, KeyError):
    """A name that is in no list; as a ``KeyError``, also what a mapping raises."""

    __str__ = Exception.__str__  # a KeyError shows the repr of its message


def brief(what: object, length: int = 300) -> str:
    """Text, or what somebody else's error says, in one line that a message can hold: its beginning
    and its end where it is long.

    >>> brief("0123456789", 8), brief("a\\n  b"), brief(ValueError())
    ('012...89', 'a b', 'ValueError')
    """
    text = str(what)
    if len(text) > 10 * length:  # it may quote a whole file
        text = f"{text[: 5 * length]} {text[-5 * length :]}"
    words = " ".join(text.split()) or type(what).__name__
    return _cut(words, length)


def _cut(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    end = (length - 3) // 2
    return f"{text[: length - 3 - end]}...{text[-end:]}"


def in_words(value: object) -> str:
    """What was given, as a message can hold it.

    >>> in_words("a"), in_words([0] * 999)[:6]
    ("'a'", '[0, 0,')
    """
    try:
        return _cut(repr(value), 100)
    except (ValueError, RecursionError):  # an integer of 5,000 digits, a list in itself
        return f"a {type(value).__name__} that cannot be shown"


def nearest(name: str, valid: Iterable[str], alike: float = 0.5) -> str | None:
    """The valid name closest to ``name``, or None where nothing is ``alike`` (0..1) enough."""
    if len(name) > 200:  # the comparison takes the square of it
        return None
    matches = difflib.get_close_matches(name, list(valid), n=1, cutoff=alike)
    return matches[0] if matches else None


def nearest_keys(key: str, valid: Iterable[str]) -> list[str]:
    """The dotted keys that somebody may have meant: those that end alike, else the closest.

    >>> nearest_keys("lr", ["epochs", "optimizer.lr", "objective.temperature"])
    ['optimizer.lr']
    """
    known, (first, _, last) = list(valid), key.rpartition(".")
    alike = [one for one in known if one != key and one.rpartition(".")[2] == last]
    within = nearest(first, {one.rpartition(".")[0] for one in alike} - {""}, alike=0.8)
    if first and within:  # view.flip
        return [f"{within}.{last}"]
    guess = nearest(key, known)
    if 0 < len(alike) <= 4:
        return alike
    return [guess] if guess else []


SHOWN = 8
"""So many choices are shown in a message."""


def unknown(kind: str, name: object, valid: Iterable[str], listed: str = "") -> UnknownNameError:
    """The error for a name that is not in the list: names it, the nearest match, and the choices,
    of many the nearest few and how many more there are; ``listed`` says where to see all."""
    choices = sorted(valid)
    close = difflib.get_close_matches(in_words(name), choices, n=SHOWN, cutoff=0.0)
    guess = nearest(name, choices) if isinstance(name, str) else None
    hint = f" Did you mean {guess!r}?" if guess else ""
    if len(choices) <= SHOWN:
        known = ", ".join(choices)
        return UnknownNameError(f"unknown {kind} {in_words(name)}.{hint} Known: {known}")
    known = f"{', '.join(close)} and {len(choices) - SHOWN} more{f'; {listed}' if listed else ''}"
    return UnknownNameError(f"unknown {kind} {in_words(name)}.{hint} Known: {known}")


_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters other than newline and tab, and what turns the direction of a line."""


def printable(text: str) -> str:
    """Text without what would steer a terminal or a page: such characters become ``�``.

    >>> printable("a\\x1b[2Jb")
    'a�[2Jb'
    """
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str) -> str:
    """The same in one line: the name of a file may hold a newline, and must not forge a message.

    >>> print(one_line("a\\nviewfinder: all is well"))
    a\\nviewfinder: all is well
    """
    return printable(text.replace("\n", "\\n"))


class RunStopped(RuntimeError):
    """A run that cannot sensibly go on (collapse, NaN); what was computed before is kept."""


class InterruptedRun(RunStopped):
    """Ctrl-C or SIGTERM: the run in ``folder`` can be continued, by ``--resume`` or as ``how``
    says."""

    def __init__(self, folder: object, how: str | None = None) -> None:
        how = how or f"viewfinder pretrain --resume {folder}"
        super().__init__(f"interrupted. To continue: {how}")
