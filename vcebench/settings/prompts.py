"""What a model that reads prompts is told of the classes of a task."""

from __future__ import annotations

from collections.abc import Mapping

from vcebench.data.base import Task
from vcebench.errors import UserError

Prompts = tuple[str, str]
"""Of the first and of the second class of a task; images of either are led to the other."""

_BY_ATTRIBUTE: Mapping[str, Prompts] = {
    "Smiling": ("a photo of a non-smiling person", "a photo of a smiling person"),
    "Young": ("a photo of an old person", "a photo of a young person"),
    "Wearing_Hat": ("a photo of a person", "a photo of a person with a hat"),
    "Eyeglasses": ("a photo of a person", "a photo of a person with eyeglasses"),
}
"""Attribute that a task asks for → prompts; those of Smiling and Young are LDCE's."""

MANY = "a photo of a {}."
"""What LDCE says of a class that has a name."""
LONGEST = 1000


def prompts_of(task: Task, given: Prompts | None = None) -> dict[int, str]:
    """Class → prompt: a person's own, or what is usual for the task.

    Raises UserError: nobody knows what to say of these classes.
    """
    if given is not None:
        if len(task.classes) != 2:
            raise UserError("prompts are for tasks of two classes, and this one has more")
        return dict(zip(task.classes, given, strict=True))
    if task.attribute is not None:
        if task.attribute not in _BY_ATTRIBUTE:
            raise UserError(
                f"no prompts are known for {task.name}; give --prompt-source and --prompt-target"
            )
        return dict(zip(task.classes, _BY_ATTRIBUTE[task.attribute], strict=True))
    return {k: MANY.format(name) for k, name in zip(task.classes, task.labels, strict=True)}
