"""The causal model of the synthetic faces: interventions, held noise, designed correlations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcebench.data.rendered.noise import make_key, pixel_noise, uniforms
from vcebench.data.synthfaces import scm
from vcebench.data.synthfaces.factors import IDENTITY, NUISANCE, Factors, draw

PEOPLE = range(400)
NOT_HAIR = [name for name in scm.NAMES if name not in scm.HAIR_COLOURS]
indices = st.integers(0, 2**40)


@pytest.fixture(scope="module")
def factors() -> Factors:
    return draw(0, PEOPLE, [0] * len(PEOPLE))


@pytest.fixture(scope="module")
def attributes() -> dict[str, np.ndarray]:
    drawn = draw(3, range(6000), [0] * 6000)
    return {name: drawn.value(name).astype(float) for name in scm.NAMES}


def changed(before: Factors, after: Factors) -> set[str]:
    differs = (before.attributes != after.attributes).any(axis=0)
    return {name for name in scm.NAMES if differs[scm.INDEX[name]]}


def test_names_are_those_of_the_specification():
    wanted = (
        "Smiling Young Male Eyeglasses Wearing_Hat Mouth_Slightly_Open Bangs Black_Hair Blond_Hair "
        "Gray_Hair Rosy_Cheeks Wearing_Lipstick Bushy_Eyebrows Narrow_Eyes"
    )
    assert set(wanted.split()) <= set(scm.ATTRIBUTES)
    assert scm.PATCH not in scm.ATTRIBUTES


@given(st.lists(indices, min_size=1, max_size=6), st.integers(0, 5))
def test_factors_do_not_depend_on_their_batch(people: list[int], seed: int):
    together = draw(seed, people, [0] * len(people))
    for row, who in enumerate(people):
        alone = draw(seed, [who], [0])
        assert np.array_equal(together.identity[row], alone.identity[0])
        assert np.array_equal(together.nuisance[row], alone.nuisance[0])
        assert np.array_equal(together.attributes[row], alone.attributes[0])
        assert together.texture[row] == alone.texture[0]


@given(indices, indices)
def test_pictures_of_one_person_share_the_identity_and_nothing_else(who: int, number: int):
    pair = draw(0, [who, who], [number, number + 1])
    assert np.array_equal(pair.identity[0], pair.identity[1])
    assert not np.isclose(pair.nuisance[0], pair.nuisance[1]).all()
    assert not np.isclose(pair.exogenous[0], pair.exogenous[1]).all()
    assert pair.texture[0] != pair.texture[1]


@pytest.mark.parametrize("name", NOT_HAIR)
@pytest.mark.parametrize("value", [0, 1])
def test_do_sets_its_attribute_and_changes_nothing_else(factors: Factors, name: str, value: int):
    after = factors.do({name: value})
    assert (after.value(name) == value).all()
    assert changed(factors, after) <= {name}


@pytest.mark.parametrize("name", scm.NAMES)
@pytest.mark.parametrize("propagate", [False, True])
def test_do_holds_all_noise(factors: Factors, name: str, propagate: bool):
    after = factors.do({name: 1}, propagate=propagate)
    assert after.identity is factors.identity
    assert after.nuisance is factors.nuisance
    assert after.exogenous is factors.exogenous
    assert after.texture is factors.texture


@pytest.mark.parametrize("name", scm.HAIR_COLOURS)
@pytest.mark.parametrize("value", [0, 1])
def test_a_hair_colour_excludes_the_others(factors: Factors, name: str, value: int):
    after = factors.do({name: value})
    colours = np.stack([after.value(colour) for colour in scm.HAIR_COLOURS])
    assert (colours.sum(axis=0) == 1).all()
    assert (after.value(name) == value).all()
    assert changed(factors, after) <= set(scm.HAIR_COLOURS)


@pytest.mark.parametrize("name", scm.NAMES)
def test_do_of_the_present_value_is_the_identity(factors: Factors, name: str):
    assert not changed(factors, factors.do({name: factors.value(name)}))
    assert not changed(factors, factors.do({name: factors.value(name)}, propagate=True))


@pytest.mark.parametrize("name", scm.NAMES)
def test_propagation_reaches_descendants_only(factors: Factors, name: str):
    flipped = factors.do({name: ~factors.value(name).astype(bool)}, propagate=True)
    own = set(scm.HAIR_COLOURS) if name in scm.HAIR_COLOURS else {name}
    assert changed(factors, flipped) <= own | scm.descendants(name)


def test_propagation_changes_descendants_somewhere(factors: Factors):
    after = factors.do(Young=0, propagate=True)
    assert {"Gray_Hair", "Eyeglasses", "Wearing_Lipstick"} <= changed(factors, after)


def test_propagation_leaves_earlier_interventions_alone(factors: Factors):
    after = factors.do(Eyeglasses=1).do(Young=1, propagate=True)
    assert after.value("Eyeglasses").all()


def test_do_takes_one_value_per_face(factors: Factors):
    wanted = np.arange(len(factors)) % 2 == 0
    assert np.array_equal(factors.do(Smiling=wanted).value("Smiling"), wanted)


@given(st.sampled_from(NOT_HAIR), st.sampled_from(NOT_HAIR), st.booleans(), st.booleans())
def test_interventions_on_two_attributes_commute(first: str, second: str, a: bool, b: bool):
    factors = draw(1, range(8), [0] * 8)
    if first == second:
        return
    one = factors.do({first: a}).do({second: b})
    other = factors.do({second: b}).do({first: a})
    assert np.array_equal(one.attributes, other.attributes)


def test_an_unknown_attribute_is_named(factors: Factors):
    with pytest.raises(KeyError, match="Frowning"):
        factors.do(Frowning=1)


def test_a_value_that_is_neither_0_nor_1_is_refused(factors: Factors):
    with pytest.raises(ValueError, match="0 or 1"):
        factors.do(Smiling=2)


@pytest.mark.parametrize(
    ("cause", "effect", "sign"),
    [
        ("Young", "Gray_Hair", -1),
        ("Young", "Eyeglasses", -1),
        ("Male", "Wearing_Lipstick", -1),
        ("Male", "Bushy_Eyebrows", 1),
        ("Male", "No_Beard", -1),
        ("Male", "Bangs", -1),
        ("Smiling", "Mouth_Slightly_Open", 1),
        ("Smiling", "Rosy_Cheeks", 1),
        ("Smiling", "Narrow_Eyes", 1),
    ],
)
def test_correlations_have_the_designed_signs(
    attributes: dict[str, np.ndarray], cause: str, effect: str, sign: int
):
    assert sign * np.corrcoef(attributes[cause], attributes[effect])[0, 1] > 0.1


@pytest.mark.parametrize("name", scm.ATTRIBUTES)
def test_the_patch_is_rare_and_independent(attributes: dict[str, np.ndarray], name: str):
    assert 0.03 < attributes["patch"].mean() < 0.07
    assert abs(np.corrcoef(attributes["patch"], attributes[name])[0, 1]) < 0.06


@pytest.mark.parametrize("name", scm.ATTRIBUTES)
def test_every_attribute_occurs_with_both_values(attributes: dict[str, np.ndarray], name: str):
    assert 0.1 < attributes[name].mean() < 0.9


def test_factors_have_names(factors: Factors):
    for name in (*IDENTITY, *NUISANCE, *scm.NAMES):
        assert factors.value(name).shape == (len(factors),)


@given(st.text(max_size=12), st.integers())
def test_uniforms_are_in_the_unit_interval(name: str, number: int):
    values = uniforms([make_key(name, number)], 50)
    assert ((values >= 0) & (values < 1)).all()


def test_pixel_noise_is_centred_with_unit_deviation():
    noise = pixel_noise([make_key("noise", number) for number in range(8)], 64, 64)
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02


def test_the_stream_of_a_key_is_fixed():
    assert make_key("synthfaces", 0, "draw", 1, 0) == (3180344851804412465, 17382597313343347437)
    assert uniforms([(1, 2)], 2)[0] == pytest.approx(
        [0.30931491118583454, 0.3569562367935075], abs=0
    )
