"""Where a run's images come from, when no registered method of this package made them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

FOREIGN = "foreign:"
"""What the method of an imported run begins with; its name follows."""


class Imported(BaseModel):
    """Images that another program made, and that were imported.

    layout: how its folder was laid out.
    part: which of its results, where there are several kinds.
    images: data set and split its inputs were found to be, e.g. "synthfaces test"; None if they
        were not compared with any, and then ids and positions are the foreign folder's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["import"] = "import"
    layout: str
    part: str | None = None
    images: str | None = None


class Plugin(BaseModel):
    """A method from outside this package.

    where: "module:Name"; a file by its name alone.
    version: what its package says, None if it says nothing.
    sha256: of the source it was loaded from.
    callable: it is no `Method` but a function, of whose costs nothing is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["plugin"] = "plugin"
    where: str
    version: str | None = None
    sha256: str
    callable: bool = False


def published_name(method: str) -> str:
    """The id that tables and claims know a method by, imported or not.

    >>> published_name("foreign:ace-l1"), published_name("maskdime")
    ('ace-l1', 'maskdime')
    """
    return method.removeprefix(FOREIGN)


def foreign_name(method: str) -> str | None:
    """What an imported method is called; None for a method of any other kind.

    >>> foreign_name("foreign:ace"), foreign_name("maskdime")
    ('ace', None)
    """
    return method.removeprefix(FOREIGN) if method.startswith(FOREIGN) else None
