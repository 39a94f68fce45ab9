"""The experiments of CI-InfoNCE in the table of experiments."""

from __future__ import annotations

from viewfinder.papers.experiment import Experiment

_CI_INFONCE = (
    "Tsai, Li, Liu, Liao, Salakhutdinov, Morency 2021, "
    "Integrating Auxiliary Information in Self-supervised Learning"
)
# At the paper's scale in order of value: the smallest set first, on each set what is claimed, what
# it is compared with, and the ends of the scale.
_SETS = ("ut-zappos50k", "cub200", "wider")
_ATTRIBUTES = tuple(f"ci-infonce/{data}-attributes" for data in _SETS)
_TABLE_1 = tuple(
    f"ci-infonce/{data}-{row}"
    for data in _SETS
    for row in ("attributes", "ce-attributes", "simclr", "moco", "supcon", "ce-labels")
)
_FIGURE_4 = (
    *(f"ci-infonce/{data}-{row}" for data in _SETS for row in ("kmeans", "pcl", "simclr", "moco")),
    *(f"ci-infonce/imagenet100-{row}" for row in ("kmeans", "pcl", "swav", "simclr", "moco")),
)

CI_INFONCE = (
    Experiment(
        name="ci-infonce/table1",
        paper=_CI_INFONCE,
        item="Table 1",
        claim="Clusters from attributes, contrasted, make better features than instances and "
        "than the same clusters predicted, and less good ones than labels.",
        run="viewfinder.papers.ci_infonce.table1:run",
        minutes=7,
        quick_minutes=1,
        recipes=_TABLE_1,
        on_gpu=True,
    ),
    Experiment(
        name="ci-infonce/fig3",
        paper=_CI_INFONCE,
        item="Figure 3",
        claim="Clusters with higher I(Z;T) and lower H(Z|T) lead to higher accuracy.",
        run="viewfinder.papers.ci_infonce.fig3:run",
        minutes=6,
        quick_minutes=1,
        recipes=("ci-infonce/ut-zappos50k-synthetic",),
        on_gpu=True,
    ),
    Experiment(
        name="ci-infonce/fig4",
        paper=_CI_INFONCE,
        item="Figure 4 and Table 2",
        claim="Without side information, k-means with CI-InfoNCE beats PCL, SwAV, SimCLR and "
        "MoCo, and its clusters come nearer to the labels than PCL's.",
        run="viewfinder.papers.ci_infonce.fig4:run",
        minutes=7,
        quick_minutes=1,
        recipes=_FIGURE_4,
        on_gpu=True,
    ),
    Experiment(
        name="ci-infonce/fig5",
        paper=_CI_INFONCE,
        item="Figure 5",
        claim="With the number k of attributes I(Z;T) and H(Z|T) rise, accuracy rises and "
        "falls, and is best where I(Z;T) - H(Z|T) is largest.",
        run="viewfinder.papers.ci_infonce.fig5:run",
        minutes=7,
        quick_minutes=1,
        recipes=_ATTRIBUTES,
        on_gpu=True,
    ),
    Experiment(
        name="ci-infonce/fig6",
        paper=_CI_INFONCE,
        item="Figure 6",
        claim="The deeper the level of the class tree that clusters come from, the better the "
        "features, and contrasting them beats predicting them.",
        run="viewfinder.papers.ci_infonce.fig6:run",
        minutes=6,
        quick_minutes=1,
        recipes=(
            *("ci-infonce/imagenet100-hierarchy", "ci-infonce/imagenet100-ce-hierarchy"),
            *("ci-infonce/imagenet100-simclr", "ci-infonce/imagenet100-supcon"),
            "ci-infonce/imagenet-hierarchy",
        ),
        on_gpu=True,
    ),
    Experiment(
        name="ci-infonce/longer",
        paper=_CI_INFONCE,
        item="Table 1 and Figure 6, trained for longer",
        claim="Clusters from noisy attributes and from the class tree, contrasted, make better "
        "features than instances and than the same clusters predicted from as many views.",
        run="viewfinder.papers.ci_infonce.longer:run",
        minutes=90,
        quick_minutes=3,
        recipes=("ci-infonce/imagenet100-hierarchy", "ci-infonce/cub200-attributes"),
        on_gpu=True,
        seeds=5,
    ),
)
