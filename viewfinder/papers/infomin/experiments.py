"""The experiments of InfoMin in the table of experiments."""

from __future__ import annotations

from viewfinder.papers.experiment import Experiment

_INFOMIN = "Tian, Sun, Poole, Krishnan, Schmid, Isola 2020, What Makes for Good Views (InfoMin)"


def _experiment(
    item: str, title: str, claim: str, minutes: float, recipes: tuple[str, ...], seeds: int = 5
) -> Experiment:
    return Experiment(
        name=f"infomin/{item}",
        paper=_INFOMIN,
        item=title,
        claim=claim,
        run=f"viewfinder.papers.infomin.{item.replace('-', '_')}:run",
        minutes=minutes,
        quick_minutes=2,
        recipes=tuple(f"infomin/{name}" for name in recipes),
        on_gpu=True,
        seeds=seeds,
    )


INFOMIN = (
    _experiment(
        "fig4",
        "Figure 4",
        "The less information the channels of a colour space share, the better the features.",
        20,
        tuple(f"stl10-{space}" for space in ("rgb", "lab", "ycbcr", "ydbdr")),
        seeds=3,
    ),
    _experiment(
        "fig5",
        "Figure 5",
        "Over the lower bound of the crop accuracy is a reverse U, with the best at 0.2.",
        20,
        ("imagenet-moco",),
    ),
    _experiment(
        "fig13-14",
        "Figures 13 and 14",
        "Over the strength of jitter accuracy is a reverse U with both heads, and each operation "
        "alone leaves the views less in common.",
        25,
        ("imagenet-moco", "imagenet-moco-linear"),
        seeds=3,
    ),
    _experiment(
        "fig3",
        "Figure 3",
        "Over the distance of two patches information falls, and accuracy is a reverse U.",
        20,
        ("div2k-patches",),
    ),
    _experiment(
        "fig9",
        "Figure 9",
        "Information is largest at one cut of the frequencies, and accuracy takes another way "
        "above it than below.",
        20,
        ("stl10-frequency",),
    ),
    _experiment(
        "fig12",
        "Figure 12",
        "Step by step InfoMin's augmentation, the jigsaw and the MLP head lower the information "
        "of the views and improve accuracy.",
        25,
        ("imagenet-moco-linear", "imagenet-infomin-linear", "imagenet-infomin"),
    ),
    _experiment(
        "table1",
        "Table 1",
        "CMC is better than InstDis, and InfoMin's views than SimCLR's.",
        25,
        ("imagenet-instdis", "imagenet-cmc", "imagenet-infomin"),
    ),
    _experiment(
        "table4",
        "Table 4",
        "What two views share decides what is learned: of digit, position and background the one "
        "that is shared is known, and where the background is, the others are left out.",
        55,
        (),
    ),
    _experiment(
        "learned-views",
        "Figures 7 and 8, Table 5",
        "Views learned with some labels, so that they share little else, are better than those "
        "learned from the labels alone.",
        28,
        (),
    ),
)
