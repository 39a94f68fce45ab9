"""View makers from a preset's name or from a list of steps, for recipes and for own loops."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from viewfinder.core.errors import OptionError, UserError, in_words
from viewfinder.core.expect import check_whole
from viewfinder.core.table import Options, R, Table
from viewfinder.core.validation import expected
from viewfinder.data.domain import Domain
from viewfinder.views.items import Factors, Item, Items, ViewSpec, choose, strengthened
from viewfinder.views.maker import ViewMaker
from viewfinder.views.presets import nearest_variant, normalisation
from viewfinder.views.table import PRESETS, SPLITS, STEPS

Words = Iterable[Any]


def items(words: Words) -> Items:
    """A list of steps from names, {name: value} and {name: {option: value}}.

    Raises UserError for an unknown step or option, and for a value that is refused.

    >>> [item.step.name for item in items(["flip", {"grey": 0.2}, "normalise"])]
    ['flip', 'grey', 'normalise']
    """
    if isinstance(words, str):
        raise UserError(f"steps are {words!r}; a list of steps is expected", fix=f"[{words}]")
    return tuple(Item(*chosen(STEPS, word)) for word in words)


def preset_items(name: str, size: int, channels: int = 3) -> tuple[Items, Items]:
    """The lists of a preset's first and second view, for views of ``size`` px.

    Raises UserError for an unknown name or a size below 4.
    """
    row = PRESETS.find(name)
    variant = nearest_variant(size)
    last = normalisation(variant, channels)
    first, second = row.steps(variant)
    return items([*first, *last]), items([*second, *last])


def preset(
    name: str, size: int, *, channels: int = 3, split: Any = "draws", strength: Factors = 1.0
) -> ViewMaker:
    """The maker of a preset's views (a row of PRESETS), two by default, of ``size`` px.

    strength  how strong its steps are, see ``viewfinder.views.items.strengthened``

    Images are normalised with mean and standard deviation 1/2 up to 96 px, and with ImageNet's at
    the 224 px variant. Raises UserError for an unknown name, a size below 4, and channels that the
    steps do not take.

    >>> images = torch.randint(0, 256, (8, 3, 40, 40), dtype=torch.uint8)
    >>> first, second = preset("byol", 32)(images, torch.Generator().manual_seed(0))
    >>> first.shape
    torch.Size([8, 3, 32, 32])
    """
    check_whole("size", size)
    check_whole("channels", channels)
    domain = Domain("images", (channels, size, size))
    first, second = (strengthened(own, strength) for own in preset_items(name, size, channels))
    return view_maker(ViewSpec(first, domain), ViewSpec(second, domain), split)


def compose(
    steps: Words,
    size: int | None = None,
    *,
    second: Words | None = None,
    channels: int = 3,
    domain: Domain | None = None,
    split: Any = "draws",
    strength: Factors = 1.0,
) -> ViewMaker:
    """The maker of views by a list of steps, in the order written.

    steps     names, {name: value} and {name: {option: value}}, as in a recipe
    size      side of square views, px, of images with ``channels``; or ``domain`` of other data
    second    the list of the second view where it differs
    split     which views come out: "draws", {"draws": {"count": 4}}, {"channels": 1}, ...
    strength  how strong the steps are, see ``viewfinder.views.items.strengthened``

    Raises UserError for what is unknown, refused, or does not fit together.

    >>> maker = compose(["crop", "flip", {"grey": 0.5}, "normalise"], 32)
    >>> maker.domains[0].shape
    (3, 32, 32)
    """
    if domain is None:
        if size is None:
            raise UserError("views of images need a size", fix="size=32")
        check_whole("size", size)
        check_whole("channels", channels)
        domain = Domain("images", (channels, size, size))
    elif (
        size is not None
        and domain.modality in ("images", "clips")
        and (domain.shape[-2:] != (size, size))
    ):
        raise UserError(
            f"size={size} is given beside a domain, {domain.modality} of {domain.shape}, whose "
            "sides the views have",
            fix="domain alone, of the size that the views are to have",
        )
    for side in domain.shape:
        check_whole("a side of the domain", side)
    first = strengthened(items(steps), strength)
    other = first if second is None else strengthened(items(second), strength)
    return view_maker(ViewSpec(first, domain), ViewSpec(other, domain), split)


def view_maker(first: ViewSpec, second: ViewSpec, split: Any) -> ViewMaker:
    """The maker of a split of two lists; ``split`` as it is written in a recipe."""
    row, options = chosen(SPLITS, split)
    if first.domain.modality not in row.modalities:
        raise OptionError(
            f"@split={row.name} is for {' or '.join(row.modalities)}, "
            f"the data are {first.domain.modality}",
            fix="@split=draws",
        )
    made = row.build(options, first, second)
    made.partners = row.partners
    return made


def chosen(table: Table[R], given: Any) -> tuple[R, Options]:
    """Row and options of what ``choose`` takes; raises UserError for options that are refused."""
    row, values = choose(table, given)
    try:
        return row, row.options(**values)
    except ValidationError as error:
        problem = error.errors()[0]
        option = ".".join(map(str, problem["loc"])) or "its options"
        fields = row.options.model_fields
        if problem["type"] == "extra_forbidden":
            told = f"has no option {option}; it has: {', '.join(fields) or 'none'}"
        else:
            told = f"{option} is {in_words(problem['input'])}: {expected(problem['msg'])}"
        raise UserError(f"{table.kind} {row.name}: {told}") from error
