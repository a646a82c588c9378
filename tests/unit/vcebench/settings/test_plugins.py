"""Methods from outside: loaded when a person names them, refused in one sentence if they fail."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from vcebench.errors import UserError
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.outside import Outside, wrapped
from vcebench.methods.registry import METHODS, method
from vcebench.settings import foreigncode, plugins
from vcebench.settings.plugins import find_method
from vcebench.settings.request import Request, resolve

GLOW = """
__version__ = "3.1"

def glow(images, target, *, classifier, seed):
    return images * 0.5

def other(images):
    return images

class Thing:
    pass

number = 7
"""


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(plugins, "METHODS", METHODS)
    before, loaded = dict(METHODS), dict(plugins._LOADED)
    yield
    METHODS.clear()
    METHODS.update(before)
    plugins._LOADED.clear()
    plugins._LOADED.update(loaded)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(GLOW)
    return path


def test_a_function_in_a_file_becomes_a_method(file):
    id, origin = find_method(f"{file}:glow")
    assert id == "glow"
    assert (origin.where, origin.version, origin.callable) == ("mine.py:glow", "3.1", True)
    assert isinstance(method("glow"), Outside)


def test_the_configuration_tells_where_it_comes_from_and_another_source_is_another_run(file):
    request = Request(method=f"{file}:glow", dataset="digits", limit=2, name="mine")
    config, _ = resolve(request)
    assert config.method == "mine"
    file.write_text(GLOW.replace("0.5", "0.6"))
    METHODS.pop("mine")
    other, _ = resolve(request)
    assert config.digest() != other.digest()


def test_a_method_without_origin_keeps_its_digest():
    config, _ = resolve(Request(method="maskdime", dataset="digits", limit=2))
    assert config.origin is None
    assert '"origin"' not in config.model_dump_json(exclude_none=True)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("other", r"other does not take explain\(images, target"),
        ("Thing", "is a class but no Method"),
        ("number", "is a int; give a Method or a function"),
        ("absent", "cannot be loaded: AttributeError"),
    ],
)
def test_what_is_no_method_is_said_in_one_sentence(file, name, complaint):
    with pytest.raises(UserError, match=complaint):
        find_method(f"{file}:{name}")


@pytest.mark.parametrize("place", ["nowhere.py:f", "no.such.package:f"])
def test_what_is_not_there_is_named(place):
    with pytest.raises(UserError, match=f"{place} cannot be loaded"):
        find_method(place)


def test_a_file_that_fails_is_one_sentence(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("raise RuntimeError('two\\nlines')")
    with pytest.raises(UserError, match=r"broken.py:f cannot be loaded: RuntimeError: two lines$"):
        find_method(f"{path}:f")


def test_a_registered_id_cannot_be_taken(file):
    with pytest.raises(UserError, match=r"maskdime is a method already; .* --name"):
        find_method(f"{file}:glow", "maskdime")


def test_a_name_goes_with_a_place():
    with pytest.raises(UserError, match="--name is for methods given as"):
        find_method("maskdime", "mine")


def test_an_installed_plug_in_is_found_by_its_id(monkeypatch):
    point = EntryPoint("negative", "operator:neg", foreigncode.METHODS_GROUP)
    broken = EntryPoint("broken", "no_such_module:f", foreigncode.METHODS_GROUP)
    monkeypatch.setattr(foreigncode, "entry_points", lambda group: [broken, point])
    assert [plugin.id for plugin in foreigncode.offered(foreigncode.METHODS_GROUP)] == [
        "broken",
        "negative",
    ]
    with pytest.raises(UserError, match=r"the plug-in broken \(no_such_module:f\) cannot be"):
        find_method("broken")
    with pytest.raises(UserError, match="does not take"):
        find_method("negative")


def explained(function):
    from vcebench.methods.core.guidance import Guidance
    from vcebench.methods.core.noise import KeyedNoise

    x = torch.zeros(2, 3, 4, 4)
    target = torch.tensor([1, 0])
    guidance = Guidance(
        classifier=None, lambda_class=torch.ones(2), perceptual=None, lambda_perceptual=0.0
    )
    noise = KeyedNoise(0, "user", ["a", "b"], (3, 4, 4))
    chosen = wrapped(function, "mine")()
    return chosen.explain(x, target, prior=None, guidance=guidance, noise=noise)


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        (lambda x: x[:1], r"returned shape \(1, 3, 4, 4\); return that of the images"),
        (lambda x: x.numpy(), "returned a ndarray"),
        (lambda x: x.to(torch.int64), "returned torch.int64; return float"),
        (lambda x: x + 255, "returned levels up to 255"),
        (lambda x: x.to("meta"), "returned images on meta; return them on cpu"),
        (lambda x: torch.autograd.grad(x.sum(), x), "failed: RuntimeError"),
    ],
)
def test_what_comes_back_is_checked(made, complaint):
    with pytest.raises(MethodError, match=f"mine {complaint}"):
        explained(lambda images, target, *, classifier, seed: made(images))


def test_uint8_and_nan_are_images_too():
    white = explained(lambda x, t, *, classifier, seed: torch.full_like(x, 255, dtype=torch.uint8))
    assert white.x_cf.eq(1).all()
    nan = explained(lambda x, t, *, classifier, seed: x / 0)
    assert nan.x_cf.isnan().all()  # stored as non-finite, and counted, as for every method


def test_noise_repeats_with_the_seed_and_gradients_are_on():
    def noisy(images, target, *, classifier, seed):
        x = images.requires_grad_(True)
        (gradient,) = torch.autograd.grad((x**2).sum(), x)
        return torch.rand_like(x) + gradient

    assert torch.equal(explained(noisy).x_cf, explained(noisy).x_cf)


METHOD = """
from dataclasses import dataclass, replace
import torch
from vcebench.methods.pgd import PGD

class Base(PGD):
    def explain(self, x, target, **given):
        return self.end(super().explain(x, target, **given))

class Shape(Base):
    def end(self, found):
        return replace(found, x_cf=found.x_cf[:, :1])

class Whole(Base):
    def end(self, found):
        return replace(found, x_cf=found.x_cf.to(torch.int64))

class Bare(Base):
    def end(self, found):
        return found.x_cf

class Raises(Base):
    def end(self, found):
        return torch.autograd.grad(found.x_cf.sum(), found.x_cf)
"""


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("Shape", r"Shape returned shape \(4, 1, 32, 32\); return that of the images"),
        ("Whole", "Whole returned torch.int64; return float"),
        ("Bare", "Bare returned a Tensor; return an Explanation"),
        ("Raises", "Raises failed: RuntimeError: "),
    ],
)
def test_a_method_that_misbehaves_stops_its_run_in_one_sentence(tmp_path, name, complaint):
    from vcebench.jobs.session import run_and_measure

    (tmp_path / "mine.py").write_text(METHOD)
    place = f"{tmp_path}/mine.py:{name}"
    config, images = resolve(Request(place, "digits", limit=2, batch_size=4, device="cpu"))
    with pytest.raises(UserError, match=complaint) as caught:
        run_and_measure(config, images, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "run").glob("counterfactuals/*"))
