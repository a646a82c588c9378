"""Who plays the latent roles of a task, what it is told, and the files of learned words."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latent_miniatures import write_folder
from safetensors.torch import save_file

from vcebench.data.registry import dataset_entry
from vcebench.errors import UserError
from vcebench.methods.core.prior import ByClass, ConditionalPrior
from vcebench.models.latent import Resized
from vcebench.models.latent_files import load_latent
from vcebench.models.latent_role import digest, tell, what_is_said
from vcebench.models.loading import load_bundle
from vcebench.models.shipped import ASSETS
from vcebench.models.tokens import FORMAT, Tokens, read_tokens, write_tokens
from vcebench.settings.prompts import prompts_of
from vcebench.weights.latents import LATENT_ROLES, LATENTS
from vcebench.weights.shipped import NetworkFileError, sha256

TEXT, WORDS = frozenset({"latent-text"}), frozenset({"latent-text", "tokens"})
SMILE = dataset_entry("synthfaces").task("smile")


def _assets(path: Path, dataset: str = "synthfaces", kind: str = "txt") -> Path:
    """The classifiers of a set that ships, with a miniature as its latent model."""
    path.mkdir(parents=True)
    for file in (ASSETS / dataset).glob("classifier*.safetensors"):
        shutil.copyfile(file, path / file.name)
    write_folder(path / "latent", kind)
    return path


def _contexts(prior: object) -> ByClass:
    assert isinstance(prior, ConditionalPrior)
    assert isinstance(prior.conditions, ByClass)
    return prior.conditions


def test_a_shipped_model_is_told_the_usual_words_or_ones_own(tmp_path: Path) -> None:
    root = _assets(tmp_path / "assets")
    bundle = load_bundle("synthfaces", "smile", folder=root, needs=TEXT, metrics=False)
    usual = _contexts(bundle.prior).contexts
    words = load_latent(root / "latent").words
    assert words is not None
    wanted = words.contexts([prompts_of(SMILE)[1]])[0]
    torch.testing.assert_close(usual[1], wanted)
    assert bundle.hashes["latent-text"] == digest(root / "latent")
    own = load_bundle(
        "synthfaces", "smile", folder=root, needs=TEXT, metrics=False, prompts=("a", "photo of a")
    )
    assert not torch.equal(_contexts(own.prior).contexts[0], usual[0])
    assert torch.equal(_contexts(own.prior).null, _contexts(bundle.prior).null)


def test_learned_words_are_told_if_a_method_needs_them(tmp_path: Path) -> None:
    root = _assets(tmp_path / "assets")
    with pytest.raises(UserError, match="no learned tokens for smile: run `vcebench prepare time`"):
        load_bundle("synthfaces", "smile", folder=root, needs=WORDS, metrics=False)
    path = root / "tokens-smile.safetensors"
    row = torch.linspace(-1, 1, 32)
    write_tokens(path, Tokens({"<x>": row}, {0: "A photo", 1: "A <x> photo"}))
    bundle = load_bundle("synthfaces", "smile", folder=root, needs=WORDS, metrics=False)
    assert bundle.hashes["tokens"] == sha256(path)
    words = load_latent(root / "latent").words
    assert words is not None
    words.learn({"<x>": row})
    wanted = words.contexts(["A <x> photo"])[0]
    torch.testing.assert_close(_contexts(bundle.prior).contexts[1], wanted)
    said = load_bundle(
        "synthfaces", "smile", folder=root, needs=WORDS, metrics=False, prompts=("a", "photo")
    )
    assert "tokens" not in said.hashes


def test_a_pair_of_digits_is_told_its_classes(tmp_path: Path) -> None:
    root = _assets(tmp_path / "assets", "digits", "cls")
    needs = frozenset({"latent-class"})
    bundle = load_bundle("digits", "3-8", folder=root, needs=needs, metrics=False)
    assert set(_contexts(bundle.prior).contexts) == {3, 8}
    assert bundle.hashes["latent-class"] == digest(root / "latent")


@pytest.mark.parametrize(
    ("dataset", "role"),
    [("digits", "latent-text"), ("synthfaces", "latent-class"), ("synthroads", "latent-text")],
)
def test_a_role_that_a_set_does_not_have_is_refused(dataset: str, role: str) -> None:
    with pytest.raises(NetworkFileError, match=f"no {role} network ships for {dataset}"):
        load_bundle(dataset, needs=frozenset({role}), metrics=False)


def test_a_published_model_is_found_or_said_where_to_get(tmp_path: Path) -> None:
    def load(dataset: str, role: str) -> object:
        return load_bundle(
            dataset, None, folder=tmp_path, needs={role}, metrics=False, required=False
        )

    for dataset, role, what in (
        ("celebahq", "latent-text", "miniSD.ckpt"),
        ("imagenet", "latent-class", "cin256-v2"),
        ("bddoia", "latent-text", "CompVis/stable-diffusion-v1-4"),
    ):
        with pytest.raises(NetworkFileError, match=what) as error:
            load(dataset, role)
        assert str(tmp_path) in str(error.value)
    with pytest.raises(NetworkFileError, match="no latent-class network is published for celeba"):
        load("celeba", "latent-class")
    write_folder(tmp_path / "sd-1-4")
    bundle = load("celebahq", "latent-text")
    assert bundle.backbones["latent-text"] == "Stable Diffusion 1.4"  # type: ignore[attr-defined]
    resized = bundle.prior.space.autoencoder  # type: ignore[attr-defined]
    assert isinstance(resized, Resized)
    assert (resized.size, resized.shown) == ((512, 512), (256, 256))


def test_every_role_has_its_cards() -> None:
    for roles in LATENT_ROLES.values():
        for ids in roles.values():
            assert all(id in LATENTS for id in ids)


def test_prompts_are_by_class() -> None:
    imagenet = dataset_entry("imagenet").task("sorrel-zebra")
    assert prompts_of(imagenet) == {339: "a photo of a sorrel.", 340: "a photo of a zebra."}
    assert prompts_of(SMILE, ("no", "yes")) == {0: "no", 1: "yes"}
    with pytest.raises(UserError, match="give --prompt-source"):
        prompts_of(dataset_entry("synthroads").task(None))


def test_words_of_other_classes_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "sd")
    path = tmp_path / "words.safetensors"
    write_tokens(path, Tokens({"<x>": torch.zeros(32)}, {0: "A <x>"}))
    with pytest.raises(UserError, match="no prompt for class 1"):
        tell(load_latent(folder), folder, (0, 1), WORDS, "cpu", path)
    assert what_is_said(SMILE, WORDS, None, tmp_path / "nothing", path) == path


def test_a_file_of_words_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "words.safetensors"
    tokens = Tokens({"|<C*1>|": torch.arange(4.0)}, {3: "A |<C*1>|"}, {"seed": 1})
    write_tokens(path, tokens)
    found = read_tokens(path)
    assert torch.equal(found.rows["|<C*1>|"], torch.arange(4.0))
    assert (found.prompts, found.facts) == (tokens.prompts, tokens.facts)
    once = path.read_bytes()
    write_tokens(path, tokens)
    assert path.read_bytes() == once


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=64),
        st.text(max_size=40),
        st.dictionaries(st.sampled_from(["prompts", "facts"]), st.integers()).map(str),
    )
)
def test_a_damaged_file_of_words_is_refused_in_one_sentence(
    content: bytes | str, tmp_path: Path
) -> None:
    path = tmp_path / "words.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        save_file({"a": torch.zeros(2)}, path, metadata={FORMAT: content})
    with pytest.raises(NetworkFileError, match="make one with `vcebench prepare time`"):
        read_tokens(path)


def test_rows_that_are_no_vectors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.safetensors"
    described = '{"prompts": {"0": "a"}, "facts": {}}'
    for row in (torch.zeros(2, 2), torch.tensor([float("nan")])):
        save_file({"a": row}, path, metadata={FORMAT: described})
        with pytest.raises(NetworkFileError, match="no vectors"):
            read_tokens(path)
    with pytest.raises(NetworkFileError, match="is missing: run"):
        read_tokens(tmp_path / "nowhere")
