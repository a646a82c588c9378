"""Which rows and columns every table of the papers has, and where embedded sets stand in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vcebench.errors import UserError
from vcebench.results.tables.names import dataset_name

ABLATIONS = (
    *("no-mask-s1", "no-mask-s8", "fixed-mask", "maskdime-rho1", "maskdime-k0.025"),
    *("maskdime-k0.1", "maskdime-wo-s", "maskdime-wo-mask", "dime-direct", "dime-naive"),
    *("dime-early-stopping", "dime-unconditional", "rcsb-langsam", "rcsb-freeform-10-20"),
    *("rcsb-freeform-20-30", "ace-l1-pre", "ace-l2-pre", "ace-l1-gd", "ace-l1-cw", "ace-l1-pixel"),
    *("ace-l1-no-inpainting", "ace-filter", "dvce-no-cone", "dvce-cone-projection"),
    *("dvce-distance-direct", "rcsb-step-naive", "rcsb-step-tweedie", "rcsb-step-adam"),
    *("rcsb-step-adaptive-norm", "rcsb-truth", "inpaint", "ldce-txt-free", "ldce-no-consensus"),
    *("ldce-no-distance", "ldce-no-backprop", "ldce-cone", "time-naive", "eced-no-prune"),
    *("eced-no-tuning", "latent-identity", "latent-identity-cls"),
)
"""Ids that change one thing of a method; they stand in their own tables and have no rank."""

VARIANTS = ("dime-deterministic", "maskdime-released", "rcsb-released", "time-released")
"""Other implementations of a published method: measured rows, but no rank among systems."""


@dataclass(frozen=True)
class Group:
    """Columns of one task of one data set."""

    dataset: str
    task: str


@dataclass(frozen=True)
class Layout:
    """A table of a paper.

    Attributes:
        source, number: document and number of the table in the published files.
        title: what it shows.
        panels: groups that stand side by side, one entry per block of rows.
        metrics: columns of every group, registry ids (or `names.EXTRA`).
        methods: ids measured for it, the most valuable first.
        added: columns the paper does not have.
        batch_size: the batch its runs must have; None accepts any.
        images: images its measured runs explain on embedded sets.
        printed: its place in the published files, where that is not its number.
    """

    source: str
    number: str
    title: str
    panels: tuple[tuple[Group, ...], ...]
    metrics: tuple[str, ...]
    methods: tuple[str, ...]
    added: tuple[str, ...] = ()
    batch_size: int | None = None
    images: int = 256
    printed: str = ""

    @property
    def groups(self) -> tuple[Group, ...]:
        """Groups of all panels."""
        return tuple(group for panel in self.panels for group in panel)


def _panel(dataset: str, *tasks: str) -> tuple[Group, ...]:
    return tuple(Group(dataset, task) for task in tasks)


SYSTEMS = ("maskdime", "fastdime", "dime", "fastdime-2plus", "maskdime-released", "fastdime-2")
PAIRS = ("sorrel-zebra", "persian-egyptian", "cougar-cheetah")
FACES = ("fid", "sfid", "fva", "fs", "mnac", "cd", "cout", "fr")
SCENES = ("fid", "sfid", "s3", "cout", "fr")

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "maskdime",
        "1",
        "CelebA and CelebA-HQ, smile and age",
        (_panel("celeba", "smile", "age"), _panel("celebahq", "smile", "age")),
        FACES,
        SYSTEMS,
    ),
    Layout(
        "maskdime",
        "2",
        "BDD100K and BDD-OIA",
        (_panel("bdd100k", "forward-slowdown"), _panel("bddoia", "forward-slowdown")),
        SCENES,
        SYSTEMS,
    ),
    Layout(
        "maskdime",
        "3",
        "ImageNet, three pairs of classes",
        tuple(_panel("imagenet", pair) for pair in PAIRS),
        SCENES,
        SYSTEMS,
    ),
    Layout(
        "maskdime",
        "4",
        "Ablation on CelebA, smile",
        (_panel("celeba", "smile"),),
        ("fid", "fs", "mnac", "cd", "cout", "fr"),
        ("maskdime", "no-mask-s8", "fixed-mask", "maskdime-rho1", "no-mask-s1", "dime"),
    ),
    Layout(
        "maskdime-supp",
        "5",
        "Mask shares k and ρ, smile",
        ((Group("celeba", "smile"), Group("celebahq", "smile")),),
        ("fid", "cout"),
        ("maskdime", "maskdime-rho1", "maskdime-k0.1", "maskdime-k0.025"),
    ),
    Layout(
        "maskdime-supp",
        "7",
        "Efficiency on CelebA, smile",
        (_panel("celeba", "smile"),),
        ("complexity", "time", "peak_memory"),
        (
            *("maskdime", "fastdime", "dime", "maskdime-wo-mask", "maskdime-wo-s"),
            *("fastdime-2plus", "fastdime-2"),
        ),
        added=("nfe",),
        batch_size=5,
        images=20,
    ),
    Layout(
        "rcsb",
        "1",
        "RCSB: ImageNet, three pairs of classes",
        (_panel("imagenet", "sorrel-zebra", "cougar-cheetah", "persian-egyptian"),),
        SCENES,
        SYSTEMS,
    ),
    Layout(
        "rcsb",
        "2",
        "RCSB: regions and inpainters",
        (_panel("imagenet", "sorrel-zebra", "cougar-cheetah", "persian-egyptian"),),
        SCENES,
        (),
    ),
    Layout(
        "eced",
        "1",
        "ECED: ImageNet, three pairs of classes",
        (_panel("imagenet", "sorrel-zebra", "cougar-cheetah", "persian-egyptian"),),
        (*SCENES, "l1_norm", "l15_norm", "l2_norm"),
        SYSTEMS,
    ),
    Layout(
        "eced",
        "2",
        "ECED: CelebA-HQ, smile and age",
        (_panel("celebahq", "smile", "age"),),
        ("fid", "sfid", "fva", "fs", "mnac", "cd", "cout"),
        SYSTEMS,
    ),
    Layout("eced", "3", "ECED: mask thresholds", (_panel("", ""),), ("cout", "fr"), ()),
    Layout("eced", "4", "ECED: background", (_panel("", ""),), ("background_loss",), ()),
    Layout(
        "dime",
        "1",
        "DiME: CelebA, smile and age",
        (_panel("celeba", "smile", "age"),),
        ("fid", "fva", "mnac"),
        SYSTEMS,
    ),
    Layout(
        "dime",
        "2",
        "DiME: variants, CelebA, attribute not stated",
        (_panel("celeba", ""),),
        ("fr", "fid_plus", "l1"),
        ("dime", "dime-early-stopping", "dime-naive", "dime-direct", "dime-unconditional"),
    ),
)

DIVERSITY = "diversity"
_DIVERSITY = Layout(
    "maskdime",
    DIVERSITY,
    "Diversity on CelebA, smile, over five seeds",
    (_panel("celeba", "smile"),),
    ("sigma_l",),
    ("maskdime", "fastdime", "no-mask-s8", "dime", "ace-l1"),
    images=32,
    printed="text",
)
"""Not a table of the paper but a paragraph of its text."""

STAND_INS: dict[str, dict[Group, str]] = {
    "synthfaces": {
        Group("celeba", "smile"): "smile",
        Group("celeba", "age"): "age",
        Group("celeba", ""): "smile",
    },
    "digits": {
        Group("imagenet", "sorrel-zebra"): "3-8",
        Group("imagenet", "persian-egyptian"): "4-9",
        Group("imagenet", "cougar-cheetah"): "1-7",
    },
    "synthroads": {Group("bdd100k", "forward-slowdown"): "forward-slowdown"},
}
"""Embedded set → published task → its task of the same place in the layouts."""

DATA_TABLE = "6"
"""The table of data sets and models, which has no metrics."""

TRUTH = ("kid", "oracle_fr", "gt_precision", "gt_iou", "gt_l1", "off_target", "nfe")
"""Metrics the papers' tables lack; shown below the layout for measured rows of embedded sets."""


def layout(number: str, source: str = "maskdime") -> Layout:
    """The layout of a table; the supplement's tables count as the paper's.

    Raises:
        UserError: that document has no such table.
    """
    sources = ("maskdime", "maskdime-supp") if source == "maskdime" else (source,)
    for entry in (*LAYOUTS, _DIVERSITY):
        if entry.source in sources and entry.number == number:
            return entry
    known = [entry.number for entry in LAYOUTS if entry.source in sources]
    known += [DATA_TABLE, DIVERSITY] if source == "maskdime" else []
    if not known:
        raise UserError(f"unknown source {source!r}; use maskdime, rcsb, eced or dime")
    raise UserError(f"{source} has no table {number!r}; use {', '.join(sorted(known))}")


def on_dataset(entry: Layout, dataset: str, tasks: tuple[str, ...] = ()) -> Layout:
    """A layout with only the groups of one data set.

    Args:
        entry: the table.
        dataset: a published data set, or one that stands in.
        tasks: all tasks of the data set; used where no group of the table belongs to it.

    Returns:
        The layout under the data set's own name. An embedded set has its own place (`STAND_INS`);
        elsewhere its first task fills the table.

    Raises:
        UserError: the table has nothing about a data set that is not embedded.
    """
    places = STAND_INS.get(dataset, {})
    panels = []
    for panel in entry.panels:
        own = [group for group in panel if group.dataset == dataset]
        lent = [Group(dataset, places[group]) for group in panel if group in places]
        if own or lent:
            panels.append(tuple(own or lent))
    if not panels and dataset in STAND_INS and tasks:
        width = max(len({group.task for group in panel}) for panel in entry.panels)
        panels = [tuple(Group(dataset, task) for task in tasks[:width])]
    if not panels:
        names = ", ".join(dict.fromkeys(g.dataset for g in entry.groups if g.dataset))
        raise UserError(f"table {entry.number} is about {names or 'no data set'}, not {dataset}")
    return replace(entry, panels=tuple(panels), title=_title(entry, dataset))


def _title(entry: Layout, dataset: str) -> str:
    if dataset not in STAND_INS:
        return entry.title
    return f"{dataset_name(dataset)} in the layout of “{entry.title}”"
