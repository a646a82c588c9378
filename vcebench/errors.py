"""What a person gets to read when a request cannot be carried out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """A request that cannot be carried out; the message is one line that says what to do."""


class StoppedError(Exception):
    """A run that was interrupted; the message says how to continue."""


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn the complaints of the rooms below into `UserError`.

    Registries, settings, readers and loaders raise ValueError (unknown names and values out of
    bounds) or OSError (missing or unreadable files) with a sentence meant for people. Wrap the
    preparation of a run in this, not the run itself: there a ValueError is a defect of ours and
    deserves its traceback.
    """
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(_describe(error)) from error
    except ValueError as error:
        raise UserError(one_line(error)) from error


def _describe(error: OSError) -> str:
    if error.strerror and error.filename:
        return f"{error.filename}: {error.strerror.lower()}; give another path or free this one"
    return one_line(error)


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
