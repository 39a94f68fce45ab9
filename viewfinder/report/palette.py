"""Colours of classes that can be told apart, by colour-blind eyes too."""

from __future__ import annotations

OKABE_ITO = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"),
    "#666666",
)
"""Okabe and Ito (2008), made for all kinds of colour vision; grey stands in for their black, which
a dark page would hide."""

KELLY = (
    *("#F3C300", "#875692", "#F38400", "#A1CAF1", "#BE0032", "#C2B280", "#848482", "#008856"),
    *("#E68FAC", "#0067A5", "#F99379", "#604E97", "#F6A600", "#B3446C", "#DCD300", "#882D17"),
    *("#8DB600", "#654522", "#E25822", "#2B3D26"),
)
"""Kelly's colours of maximum contrast (1965) without white and black, in his order: the first seven
are told apart by colour-blind eyes as well."""


def colours(classes: int) -> tuple[str, ...]:
    """As many colours as the map cycles through: Okabe and Ito's for up to 8 classes, Kelly's for
    more. The map gives classes a shape of five as well, so that no two of the first 20 differ by
    their colour alone where they lie next to each other in the list.

    >>> len(colours(8)), len(colours(9))
    (8, 20)
    """
    return OKABE_ITO if classes <= len(OKABE_ITO) else KELLY
