import threading
import time

import pytest

from esca.viewer.latest import Latest, Rate, Recent


def test_only_the_latest_value_is_taken_and_the_stale_ones_are_counted():
    box: Latest[int] = Latest()
    assert box.take(0) is None
    for value in range(5):
        box.put(value)
    assert box.take(0) == 4
    assert box.take(0) is None
    assert box.dropped == 4


def test_a_slow_worker_never_falls_behind_a_quick_hand():
    box: Latest[int] = Latest()
    seen: list[int] = []

    def work() -> None:
        while (value := box.take(1.0)) is not None:
            seen.append(value)
            time.sleep(0.01)
            if value == 199:
                return

    worker = threading.Thread(target=work)
    worker.start()
    for value in range(200):
        box.put(value)
        time.sleep(0.0002)
    worker.join(5)
    assert seen[-1] == 199
    assert seen == sorted(set(seen))
    assert len(seen) + box.dropped == 200
    assert len(seen) < 150


def test_taking_wakes_up_for_a_value():
    box: Latest[str] = Latest()
    threading.Timer(0.02, box.put, ("late",)).start()
    assert box.take(5) == "late"


def test_median_of_the_last():
    recent = Recent(3)
    assert recent.median is None
    for value in (100, 1, 2, 3):
        recent.add(value)
    assert recent.median == 2


def test_rate_forgets_what_is_long_ago():
    rate = Rate(window=2)
    for tick in range(41):
        rate.add(10 + tick * 0.05)
    assert rate.value(12) == pytest.approx(20)
    assert rate.value(13) == pytest.approx(20)
    assert rate.value(15) == 0
