"""The bound on pixels in flight."""

from __future__ import annotations

import threading

from tapetum.imaging.pixel_budget import PixelBudget


def test_all_together_stay_below_the_limit():
    budget = PixelBudget(100)
    lock = threading.Lock()
    together, most = 0, 0

    def work(pixels: int) -> None:
        nonlocal together, most
        for _ in range(50):
            with budget.holding(pixels):
                with lock:
                    together += pixels
                    most = max(most, together)
                with lock:
                    together -= pixels

    threads = [threading.Thread(target=work, args=(pixels,)) for pixels in (10, 30, 60, 60, 90)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert together == 0
    assert 0 < most <= 100


def test_one_that_is_larger_has_it_to_itself():
    budget = PixelBudget(100)
    done = threading.Event()

    def work() -> None:
        with budget.holding(500):
            done.set()

    with budget.holding(1):
        thread = threading.Thread(target=work)
        thread.start()
        assert not done.wait(0.1)
    assert done.wait(10)
    thread.join()
    with budget.holding(100):
        pass
