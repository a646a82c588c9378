"""The whole field on an embedded set: one id a family, on the tasks where truth is known best.

Every row has the first images of the same split, so that rows compare: of slow methods, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vcebench.data.registry import dataset_entry
from vcebench.errors import UserError, user_errors
from vcebench.jobs.plan import Planned, unable
from vcebench.methods.registry import METHODS
from vcebench.models.shipped import FILES

IMAGES = 64

FIELD = (
    *("maskdime", "fastdime", "rcsb-c", "ace-l1", "dvce", "pgd", "svce"),
    *("ldce-cls", "ldce-txt", "time", "eced-v", "steex", "dive", "xgem-plus"),
    *("inpaint", "latent-identity", "ace-filter", "rcsb-truth", "fastdime-2plus", "dime"),
)
"""The most valuable first: what a reader asks for, then what the others are seen against, then what
takes longest. Those that are not registered are passed over."""

ONLY = {"dime": ("smile", "3-8")}
"""Methods that ask their prior thousands of times an image → the tasks that they run on."""

TASKS = {
    "synthfaces": (
        *("smile", "smile-robust", "smile-plain", "age"),
        "smile-shortcut-eyeglasses",
    ),
    "synthroads": ("forward-slowdown", "forward-slowdown-plain"),
    "digits": ("3-8", "3-8-robust", "3-8-plain", "4-9", "1-7"),
}


@dataclass(frozen=True)
class Field:
    """What a field is made of.

    Attributes:
        planned: runs, the most valuable first.
        left_out: (task, method) → why it cannot run there, or does not.
    """

    planned: tuple[Planned, ...]
    left_out: dict[tuple[str, str], str]


def field_plan(dataset: str, limit: int | None = None) -> Field:
    """The runs of the field on an embedded set.

    Args:
        dataset: its id.
        limit: images of every run (default: 64).

    Raises:
        UserError: it does not ship with its networks.
    """
    with user_errors():
        dataset_entry(dataset)
    if dataset not in TASKS or dataset not in FILES:
        raise UserError(f"--all is for embedded sets, not for {dataset}; use {', '.join(TASKS)}")
    planned, left_out = [], {}
    for task in TASKS[dataset]:
        for method in registered():
            reason = unable(method, dataset, task)
            if reason is None and task not in ONLY.get(method, (task,)):
                reason = (
                    "it asks its prior thousands of times an image, hours a task on a CPU, so that "
                    f"it is measured on {' and '.join(ONLY[method])} alone"
                )
            if reason is None:
                planned.append(Planned(method, dataset, task, limit or IMAGES))
            else:
                left_out[task, method] = reason
    return Field(tuple(planned), left_out)


def registered() -> Iterator[str]:
    """Methods of the field that are there, in its order."""
    return (method for method in FIELD if method in METHODS)
