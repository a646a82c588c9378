"""A run folder that a stranger hands over, through every command that reads one."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vcebench.cli import main
from vcebench.settings.config import build_config

BEFORE = Path(__file__).with_name("before")
MODULE = "stranger_module"

# Every command that is given run folders, or finds them below --runs.
COMMANDS: dict[str, Callable[[Path, Path], Sequence[str]]] = {
    "evaluate": lambda run, out: ["evaluate", str(run)],
    "compare": lambda run, out: ["compare", str(run), str(run)],
    "figures": lambda run, out: ["figures", str(run), "-o", str(out)],
    "report": lambda run, out: ["report", str(run), "-o", str(out)],
    "merge": lambda run, out: ["merge", str(run), "-o", str(out)],
    "table": lambda run, out: ["table", "3", "--runs", str(run.parent)],
    "claims": lambda run, out: ["claims", "--runs", str(run.parent)],
    "truth": lambda run, out: ["truth", "--only-stored", "--runs", str(run.parent)],
    "sanity": lambda run, out: ["sanity", "--dry-run", "--runs", str(run.parent)],
    "sweep": lambda run, out: [
        *("sweep", "--table", "4", "--dataset", "digits", "--dry-run"),
        *("--runs", str(run.parent)),
    ],
    "run": lambda run, out: [
        *("run", "--method", "maskdime", "--dataset", "digits", "--limit", "3", "--tau", "12"),
        *("--output", str(run)),
    ],
}


class Watch:
    """What happened while a command ran: imports, processes, connections, files opened."""

    def __init__(self) -> None:
        self.on = False
        self.events: list[tuple[str, tuple[Any, ...]]] = []
        sys.addaudithook(self._note)  # for good: a hook cannot be taken away again

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event.split(".")[0] in ("import", "open", "os", "subprocess", "socket"):
            self.events.append((event, arguments))

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.events, self.on = [], True
        try:
            yield
        finally:
            self.on = False

    def imported(self) -> set[str]:
        return {str(arguments[0]) for event, arguments in self.events if event == "import"}

    def started(self) -> list[str]:
        starts = ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn")
        return [event for event, _ in self.events if event in (*starts, "socket.connect")]

    def opened(self) -> set[str]:
        return {str(arguments[0]) for event, arguments in self.events if event == "open"}


@pytest.fixture(scope="session")
def watch() -> Watch:
    return Watch()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BEFORE / "run", tmp_path / "runs" / "run"))


def poisons(trap: Path) -> dict[str, dict[str, Any]]:
    """What a manifest may name that must never be used: code, files, addresses."""
    data = {"folder": str(trap), "size": 32, "classes": ["3", "8"]}
    prior = {"trained": str(trap / "prior.safetensors")}
    touch = {"command": f"touch {trap / 'touched'}"}
    kinds: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "a factory": ({"factory": "os:system", "arguments": touch}, prior),
        "a module beside": ({"factory": f"{MODULE}:build", "folder": str(trap)}, prior),
        "torchscript": ({"torchscript": str(trap / "model.ts")}, prior),
        "weights": ({"architecture": "resnet18", "weights": str(trap / "w.pt")}, prior),
        "diffusers": ({"factory": "os:system"}, {"diffusers": "https://example.org/unet"}),
    }
    return {
        name: {"custom": {"name": "digits", "data": data, "classifier": part, "prior": given}}
        for name, (part, given) in kinds.items()
    }


def poison(run: Path, change: dict[str, Any], **others: Any) -> None:
    """Change a run's configuration as somebody would who hides it: with a hash that fits."""
    path = run / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["config"] |= change
    manifest["config_hash"] = build_config(**manifest["config"]).digest()
    path.write_text(json.dumps(manifest | others))


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder with a module and files that a poisoned manifest points to."""
    folder = tmp_path / "trap"
    folder.mkdir()
    (folder / f"{MODULE}.py").write_text(f"open({str(folder / 'touched')!r}, 'w')")
    for name in ("prior.safetensors", "model.ts", "w.pt", "list_attr_celeba.txt"):
        (folder / name).write_bytes(b"secret")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", poisons(Path("trap")))
def test_nothing_that_a_manifest_names_is_imported_opened_or_started(
    command: str, kind: str, run: Path, trap: Path, tmp_path: Path, watch: Watch, capsys
) -> None:
    poison(run, poisons(trap)[kind], data_root=str(trap))
    before = sorted(trap.iterdir())
    with watch.watching():
        code = main(COMMANDS[command](run, tmp_path / "out"))
    assert code in (0, 2)
    assert MODULE not in watch.imported()
    assert not watch.started()
    assert not [path for path in watch.opened() if str(trap) in path]
    assert sorted(trap.iterdir()) == before
    error = capsys.readouterr().err
    assert "Traceback" not in error
