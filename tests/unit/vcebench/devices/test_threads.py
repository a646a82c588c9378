"""Results are in order, on whatever thread they were made."""

import threading

import pytest
import torch

from vcebench.devices.threads import for_each


@pytest.mark.parametrize("kind", ["cpu", "meta"])
def test_results_are_in_the_order_of_the_items(kind):
    threads = set()

    def work(item: int) -> int:
        threads.add(threading.current_thread())
        return item**2

    assert for_each(work, range(40), torch.device(kind)) == [n**2 for n in range(40)]
    assert (threads == {threading.current_thread()}) == (kind == "cpu")


@pytest.mark.parametrize("kind", ["cpu", "meta"])
def test_a_fault_is_raised(kind):
    with pytest.raises(OSError, match="full"):
        for_each(lambda item: (_ for _ in ()).throw(OSError("full")), [1], torch.device(kind))
