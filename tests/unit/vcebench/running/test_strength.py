"""The ratio of class to distance gradients: what the embedded sets have, and what is said of it."""

from dataclasses import replace

import pytest

from vcebench.running.assemble import networks_of, worker_of
from vcebench.running.strength import SEEN, ratio, strength
from vcebench.settings.request import Request, resolve


@pytest.fixture(scope="module")
def task():
    config, images = resolve(Request("maskdime", "digits", limit=4, batch_size=4, device="cpu"))
    return worker_of(config, networks_of(config, metrics=False)), [
        images[k].image for k in range(4)
    ]


def test_an_embedded_set_is_inside_the_range_it_gave(task):
    assert SEEN[0] <= ratio(*task) <= SEEN[1]


def test_the_ratio_grows_with_the_unit(task):
    worker, images = task
    usual = ratio(worker, images)
    assert ratio(replace(worker, class_unit=10 * worker.class_unit), images) == pytest.approx(
        10 * usual, rel=1e-4
    )


@pytest.mark.parametrize(("factor", "said"), [(1, None), (100, "too strong"), (0.01, "too weak")])
def test_what_is_beyond_the_range_is_warned_of(task, factor, said):
    worker, images = task
    (line,) = strength(replace(worker, class_unit=factor * worker.class_unit), images)
    assert "the class gradient is" in line
    assert ("calibrate" in line) == (said is not None)
    assert said is None or said in line


def test_nothing_is_said_without_a_distance_or_an_image(task):
    worker, images = task
    without = replace(worker, guidance=worker.guidance.model_copy(update={"lambda_l1": 0.0}))
    assert strength(without, images) == []
    assert strength(worker, []) == []
