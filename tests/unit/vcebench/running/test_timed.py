"""Clocks around a worker: whose time counts as what."""

from __future__ import annotations

from dataclasses import replace

import torch

from vcebench.models.bundle import Bundle
from vcebench.running.assemble import worker_of
from vcebench.running.clock import Clock
from vcebench.running.timed import timed
from vcebench.settings.request import Request, resolve


def test_a_robust_classifiers_time_is_a_classifiers(bundle: Bundle) -> None:
    networks = replace(bundle, robust=bundle.classifier)
    asked = Request("dvce", "digits", limit=2, batch_size=2, device="cpu", settings={"tau": 2})
    worker = worker_of(resolve(asked)[0], networks)
    clock = Clock(torch.device("cpu"))
    found = timed(worker, clock)
    assert worker.robust is not None
    assert found.robust is not None
    with torch.no_grad():
        found.robust.network(torch.zeros(1, 3, 32, 32))
    assert clock.seconds.keys() == {"classifier"}
    assert found.robust.network is not worker.robust.network
