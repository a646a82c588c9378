"""What a report made to be shared leaves out: where things lie on the machine that made it."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

from markupsafe import Markup

# An absolute path in a sentence: it begins where no word, address or relative path goes on.
_PATH = re.compile(r"(?<![\w./:~<-])(?:~|/|[A-Za-z]:[\\/])[^\s'\"`,;()<>]*[\\/][^\s'\"`,;()<>]*")
_WHOLE = re.compile(r"(?:~|/|[A-Za-z]:[\\/])")


def without_paths(value: Any) -> Any:
    """The same with every absolute path shortened to its last part, in texts, lists and mappings.

    >>> without_paths("put it into /home/ada/weights/vgg19.pth, then run")
    'put it into …/vgg19.pth, then run'
    >>> without_paths({"data_root": "/data of mine/celeba", "protocol": "ace-2023/1"})
    {'data_root': '…/celeba', 'protocol': 'ace-2023/1'}
    """
    if isinstance(value, dict):
        return {key: without_paths(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(inner) for inner in value]
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if _WHOLE.match(value) and "\n" not in value and not _sentence(value):
        return _last(value)
    return _PATH.sub(lambda found: _last(found[0]), value)


def _sentence(text: str) -> bool:
    """Whether a text that begins with a path goes on with words about it."""
    return bool(re.search(r"[:;,(]|\.\s|\s(?:is|has|was|cannot|holds)\s", text))


def _last(path: str) -> str:
    name = PurePath(path.replace("\\", "/").rstrip("/.:")).name
    return f"…/{name}"
