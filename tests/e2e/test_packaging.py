"""The distribution: a wheel and an sdist that carry all three packages and the networks."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECK = """
import vcebench, vcebench.methods.registry, vcebench.metrics.registry
print(vcebench.__file__, vcebench.methods.__file__, vcebench.metrics.__file__)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of what the distribution is made from, so that no build folder lands in the tree."""
    copy = tmp_path_factory.mktemp("source")
    names = ["vcebench", "methods", "metrics", "results", "pyproject.toml", "README.md"]
    subprocess.run(["cp", "-r", *[ROOT / name for name in names], copy], check=True)
    return copy


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", out, source]
    subprocess.run(build, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return path


def test_wheel_imports_all_three_packages(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    command = [
        sys.executable,
        "-S",
        "-c",
        f"import sys; sys.path[:0] = {[str(tmp_path), *sys.path]}\n{CHECK}",
    ]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert all(path.startswith(str(tmp_path)) for path in done.stdout.split())


def test_wheel_carries_networks_and_types(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert "vcebench/py.typed" in names
    for dataset in ("digits", "synthfaces", "synthroads"):
        assert f"vcebench/assets/{dataset}/prior.safetensors" in names
    assert wheel.stat().st_size <= 45 * 2**20


def test_sdist_carries_the_rooms(source, tmp_path):
    build = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "-o", tmp_path, source]
    subprocess.run(build, check=True, capture_output=True)
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"methods/core/sampler.py", "metrics/registry.py", "vcebench/__init__.py"} <= names
    assert "vcebench/assets/digits/prior.safetensors" in names
