"""A run folder that a stranger hands over, through every command that reads one."""

from __future__ import annotations

import inspect
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
from PIL import Image
from strangers import how_many, mutated, outside_of

from vcebench.cli import app, main
from vcebench.folders.rows import to_table
from vcebench.folders.runfolder import RunFolder
from vcebench.settings.config import build_config

BEFORE = Path(__file__).with_name("before")
MODULE = "stranger_module"

# Every command that is given run folders, finds them below --runs, or may be given one by mistake.
COMMANDS: dict[str, Callable[[Path, Path], Sequence[str]]] = {
    "evaluate": lambda run, out: ["evaluate", str(run)],
    "compare": lambda run, out: ["compare", str(run), str(run)],
    "figures": lambda run, out: ["figures", str(run), "-o", str(out)],
    "report": lambda run, out: ["report", str(run), "-o", str(out)],
    "leaderboard": lambda run, out: ["leaderboard", str(run), "-o", str(out)],
    "check": lambda run, out: ["check", str(run)],
    "pack": lambda run, out: ["pack", str(run), "-o", str(out.with_suffix(".zip"))],
    "remake": lambda run, out: ["remake", str(run), "--images", "2"],
    "merge": lambda run, out: ["merge", str(run), "-o", str(out)],
    "import": lambda run, out: ["import", str(run), "--dataset", "digits", "-o", str(out)],
    "region": lambda run, out: ["region", str(run / "inputs"), "-o", str(out)],
    "table": lambda run, out: ["table", "3", "--runs", str(run.parent)],
    "claims": lambda run, out: ["claims", "--runs", str(run.parent)],
    "truth": lambda run, out: ["truth", "--only-stored", "--runs", str(run.parent)],
    "sanity": lambda run, out: [
        *("sanity", "--method", "pgd", "--dry-run", "--runs", str(run.parent)),
    ],
    "sweep": lambda run, out: [
        *("sweep", "--table", "4", "--dataset", "digits", "--dry-run"),
        *("--runs", str(run.parent)),
    ],
    "run": lambda run, out: [
        *("run", "--method", "maskdime", "--dataset", "digits", "--limit", "3", "--tau", "12"),
        *("--output", str(run)),
    ],
    "profile": lambda run, out: [
        *("profile", "--method", "maskdime", "--dataset", "digits", "--limit", "3", "--tau", "12"),
        *("--batch-size", "16", "--output", str(run)),
    ],
}

# Commands that no run folder is given to. `submit` starts `run`; pins of `baseline` are CSV files.
WITHOUT = {
    *("submit", "list", "export", "train", "calibrate", "show", "weights", "weights import"),
    *("baseline check", "baseline update", "prepare"),
}
PARAMETERS = {"run", "runs", "folder", "folders", "shards", "first", "second"}
"""What commands call the run folders that they are given."""


def commands(app: typer.Typer, before: str = "") -> Iterator[tuple[str, Callable[..., object]]]:
    """Name and function of every command of the command line."""
    for entry in app.registered_commands:
        assert entry.callback is not None
        yield before + (entry.name or entry.callback.__name__), entry.callback
    for group in app.registered_groups:
        inner = group.typer_instance
        assert inner is not None
        if inner.registered_callback is not None and inner.registered_callback.callback is not None:
            yield before + str(group.name), inner.registered_callback.callback
        yield from commands(inner, f"{before}{group.name} ")


def test_every_command_is_either_walked_or_takes_no_run_folder() -> None:
    known = dict(commands(app))
    assert set(known) == set(COMMANDS) | WITHOUT
    assert not set(COMMANDS) & WITHOUT
    elsewhere = {"baseline check", "baseline update", "weights", "weights import"}
    for name in WITHOUT - elsewhere:
        assert not PARAMETERS & set(inspect.signature(known[name]).parameters), name


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
        """Programs and connections; a run asks git and uname for what its manifest says."""
        starts = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect")
        found = [str(arguments[0]) for event, arguments in self.events if event in starts]
        return [program for program in found if program not in ("git", "uname")]

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


def nothing_happened(command: str, run: Path, trap: Path, watch: Watch) -> None:
    """Carry out a command; nothing in the trap may be used, and no process or connection made."""
    before = sorted(trap.iterdir())
    with watch.watching():
        code = main(COMMANDS[command](run, run.parent.parent / "out"))
    assert code in (0, 1, 2)
    assert MODULE not in watch.imported()
    assert not watch.started()
    assert not [path for path in watch.opened() if str(trap) in path]
    assert sorted(trap.iterdir()) == before


@pytest.mark.parametrize("command", ["evaluate", "compare", "figures", "run"])
@pytest.mark.parametrize("kind", poisons(Path("trap")))
def test_networks_that_a_manifest_names_are_never_loaded(
    command: str, kind: str, run: Path, trap: Path, watch: Watch
) -> None:
    poison(run, poisons(trap)[kind])
    nothing_happened(command, run, trap, watch)


# Its rank correlations take minutes, whatever the runs are.
ALL = [pytest.param(c, marks=pytest.mark.slow if c == "truth" else ()) for c in COMMANDS]


@pytest.mark.parametrize("command", ALL)
def test_no_command_uses_what_a_manifest_names(
    command: str, run: Path, trap: Path, watch: Watch, capsys
) -> None:
    change = poisons(trap)["a module beside"] | {"method": f"{MODULE}:build", "dataset": "own"}
    poison(run, change, data_root=str(trap))
    nothing_happened(command, run, trap, watch)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "truth"])
def test_a_data_folder_that_a_manifest_names_is_not_opened(
    command: str, run: Path, trap: Path, watch: Watch
) -> None:
    poison(run, {"dataset": "celeba", "task": "smile"}, data_root=str(trap))
    nothing_happened(command, run, trap, watch)


def test_pictures_to_paint_on_are_no_links_out_of_a_run(run: Path, watch: Watch, capsys) -> None:
    secret = run.parent / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    picture = sorted((run / "inputs").iterdir())[0]
    picture.unlink()
    picture.symlink_to(secret)
    with watch.watching():
        assert main(COMMANDS["region"](run, run.parent / "page.html")) == 2
    assert f"{picture} is a link" in capsys.readouterr().err
    assert str(secret) not in watch.opened()


def test_another_judge_makes_a_second_evaluation_that_says_so(run: Path, capsys) -> None:
    own = (run / "metrics.json").read_bytes()
    assert main(["evaluate", str(run), "--judge", "4-9"]) == 0
    shown = capsys.readouterr()
    (name,) = RunFolder(run).judges()
    assert name.startswith("4-9-")
    assert f"judged by {name}, not by the classifier" in shown.err
    assert "judged by" in shown.out
    assert f"{name} (judge)" in shown.out
    document = RunFolder(run).metrics(f"judged/{name}/metrics.json")
    assert document is not None
    assert document["judge"] == name
    assert document["networks"]["classifier"]["sha256"].startswith(name[-8:])
    assert (run / "metrics.json").read_bytes() == own
    for form in ("csv", "json"):
        assert main(["evaluate", str(run), "--judge", "4-9", "--format", form]) == 0
        assert name in capsys.readouterr().out
    assert main(["report", str(run), "-o", str(run.parent / "site")]) == 0
    assert f"Judged by {name}" in (run.parent / "site/runs/1.html").read_text()


def test_figures_of_another_classifier_are_not_the_runs(run: Path, capsys) -> None:
    assert main(["evaluate", str(run), "--judge", "4-9"]) == 0
    (name,) = RunFolder(run).judges()
    judged = json.loads((run / f"judged/{name}/metrics.json").read_text())
    own = json.loads((run / "metrics.json").read_text())
    other = {**own["networks"], "classifier": {"name": "another", "sha256": "0" * 64}}
    for document, said in (
        (judged, f"it says that {name} judged"),
        ({**own, "networks": other}, "its figures are of another classifier"),
    ):
        (run / "metrics.json").write_text(json.dumps(document))
        for command in ("report", "pack", "leaderboard"):
            capsys.readouterr()
            assert main(COMMANDS[command](run, run.parent / "out")) == 2, command
            assert said in capsys.readouterr().err
        main(COMMANDS["table"](run, run.parent / "out"))
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("judge", "message"), [("smile", "smile"), ("none.toml", "cannot be read")]
)
def test_a_judge_that_is_not_there_is_one_line(judge: str, message: str, run: Path, capsys) -> None:
    assert main(["evaluate", str(run), "--judge", judge]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def rewrite(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    change(manifest)
    (run / "manifest.json").write_text(json.dumps(manifest))


BY_HAND: dict[str, Callable[[dict[str, Any]], object]] = {
    "method": lambda m: m["config"].update(method="dime"),
    "tau": lambda m: m["config"]["settings"].update(tau=200),
    "seed": lambda m: m["config"].update(seed=7),
    "protocol": lambda m: m.update(protocol="ours/9"),
    "network": lambda m: m["networks"]["oracle"].update(sha256="0" * 64),
    "classifier": lambda m: m["networks"]["classifier"].update(sha256="0" * 64),
}
SAID = (
    *("does not fit its own hash", "belongs to", "of another classifier", "explains another"),
    "networks.classifier",
)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of today, whose shards name their manifest."""
    path = tmp_path_factory.mktemp("made") / "run"
    assert main([*COMMANDS["run"](path, path)]) == 0
    return path


@pytest.mark.parametrize("entry", BY_HAND)
def test_a_manifest_that_was_changed_by_hand_is_one_line(
    entry: str, made: Path, tmp_path: Path, capsys
) -> None:
    run = Path(shutil.copytree(made, tmp_path / "runs/run"))
    rewrite(run, BY_HAND[entry])
    for command in ("evaluate", "report", "compare", "run"):
        capsys.readouterr()
        assert main(COMMANDS[command](run, tmp_path / "out")) == 2, command
        error = capsys.readouterr().err
        assert any(text in error for text in SAID), command
        assert error.count("\n") == 1
    main(COMMANDS["table"](run, tmp_path / "out"))
    error = capsys.readouterr().err
    assert any(text in error for text in SAID[:3])


@pytest.mark.parametrize("entry", ["sittings", "protocol", "networks", "config_hash", "config"])
def test_a_manifest_without_an_entry_is_one_line(entry: str, run: Path, capsys) -> None:
    rewrite(run, lambda manifest: manifest.pop(entry))
    for command in ("evaluate", "report", "compare", "run", "merge", "figures"):
        capsys.readouterr()
        assert main(COMMANDS[command](run, run.parent / "out")) == 2, command
        error = capsys.readouterr().err
        assert f"cannot be read ({entry}: field required)" in error, command


def test_damage_is_listed_in_seconds_named_by_readers_and_repaired(
    made: Path, tmp_path: Path, capsys
) -> None:
    run = Path(shutil.copytree(made, tmp_path / "runs/run"))
    before = {path.name: path.read_bytes() for path in (run / "counterfactuals").iterdir()}
    first, second = sorted(before)[:2]
    (run / "counterfactuals" / first).write_bytes(before[second])
    (run / "inputs" / second).unlink()
    capsys.readouterr()
    assert main(["check", str(run)]) == 1
    shown = capsys.readouterr()
    assert f"counterfactuals/{first} is not the file its row was stored with" in shown.out
    assert f"inputs/{second} is missing" in shown.out
    assert "2 files are damaged" in shown.err
    assert main(["check", str(run), "--format", "json"]) == 1
    listed = json.loads(capsys.readouterr().out)
    assert {row["file"] for row in listed} == {f"counterfactuals/{first}", f"inputs/{second}"}
    for command in ("evaluate", "report", "compare"):
        assert main(COMMANDS[command](run, tmp_path / "out")) == 2, command
        error = capsys.readouterr().err
        assert f"vcebench check {run}" in error
        assert error.count("\n") == 1
    assert main(COMMANDS["run"](run, tmp_path)) == 0
    assert "2 images were made again, byte for byte" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (run / "counterfactuals").iterdir()} == before
    assert main(["check", str(run)]) == 0
    assert "all" in capsys.readouterr().err


def test_an_id_that_is_a_path_is_one_line(run: Path, tmp_path: Path, watch: Watch, capsys) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    shard = run / "shards/00000.parquet"
    rows = RunFolder(run).rows()
    table = to_table([replace(rows[0], id="../../secret"), *rows[1:]])
    pq.write_table(table, shard)
    for command in ("evaluate", "report", "compare", "figures", "run"):
        capsys.readouterr()
        with watch.watching():
            code = main(COMMANDS[command](run, tmp_path / "out"))
        assert not [path for path in watch.opened() if "secret" in path]
        if command == "run":  # the shard is set aside, its images are made again
            assert code == 0
            continue
        assert code == 2, command
        assert "'../../secret' is no id of an image" in capsys.readouterr().err


def test_a_picture_of_another_size_is_one_line(run: Path, tmp_path: Path, capsys) -> None:
    path = sorted((run / "counterfactuals").iterdir())[1]
    Image.new("RGB", (40, 24)).save(path)
    for command in ("evaluate", "report", "compare"):
        capsys.readouterr()
        assert main(COMMANDS[command](run, tmp_path / "out")) == 2, command
        error = capsys.readouterr().err
        assert f"{path.name} has 40x24 pixels, others of the run 32x32" in error
        assert error.count("\n") == 1


def test_a_report_says_nothing_of_the_machine(run: Path, tmp_path: Path) -> None:
    def tell(manifest: dict[str, Any]) -> None:
        manifest["data_root"] = "/home/ada/data of mine"
        manifest["sittings"][0]["command"] = "vcebench run --config /home/ada/fruit.toml"
        manifest["skipped"] = {"7": "/home/ada/x.png cannot be decoded (truncated)"}

    rewrite(run, tell)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["notes"] = ["put it into /home/ada/weights/vgg19.pth"]
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert main(["report", str(run), "-o", str(tmp_path / "site")]) == 0
    for page in (tmp_path / "site").rglob("*"):
        if page.is_file() and page.suffix in (".html", ".js"):
            text = page.read_text()
            assert "/home/ada" not in text, page
            assert str(tmp_path) not in text, page


FUZZED = COMMANDS | {
    "judge": lambda run, out: ["evaluate", str(run), "--judge", "4-9"],
    "truth": lambda run, out: ["truth", "--dry-run", "--runs", str(run.parent)],
}


@pytest.mark.slow
@pytest.mark.parametrize("command", FUZZED)
def test_a_hundred_mutated_folders_through_every_command(
    command: str, made: Path, tmp_path: Path, watch: Watch, capsys
) -> None:
    outside = outside_of(tmp_path)
    for seed in range(how_many(100, 5)):
        run = mutated(made, tmp_path, 1_000_000 + seed)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        with watch.watching():
            code = main(FUZZED[command](run, tmp_path / "out"))
        error = capsys.readouterr().err
        assert code in (0, 1, 2), (seed, error)
        assert "Traceback" not in error, (seed, error)
        assert code != 2 or error.strip().splitlines()[-1].startswith("vcebench: "), (seed, error)
        assert not watch.started(), seed
        assert not {name for name in watch.imported() if name in ("os:system", "stranger_module")}
        assert not [path for path in watch.opened() if str(outside) in path], seed
        assert {path.read_bytes() for path in outside.iterdir()} == {b"secret"}, seed
