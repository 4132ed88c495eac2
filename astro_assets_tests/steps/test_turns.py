"""Frames side by side that go one after the other for a while."""

import threading

import pytest

from astro_assets.steps.pool import map_frames
from astro_assets.steps.turns import Turns


def test_turns_come_in_order_whoever_is_ready_first() -> None:
    turns, order, started = Turns(), list[int](), threading.Barrier(2)

    def one(number: int) -> int:
        with turns.of(number) as wait:
            if number < 2:
                started.wait(10)  # both are under way
            if number:
                wait()
                order.append(number)
                return number
            threading.Event().wait(0.05)  # the first is late
            wait()
            order.append(number)
        return number

    threads = [threading.Thread(target=one, args=(number,)) for number in (1, 0, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2, 3]


def test_an_item_that_fails_or_needs_no_turn_holds_nobody_up() -> None:
    turns, order = Turns(), list[int]()

    def one(number: int) -> None:
        with turns.of(number) as wait:
            if number == 1:
                return
            if number == 3:
                raise ValueError("of the third")
            wait()
            order.append(number)

    with pytest.raises(ValueError, match="of the third"):
        map_frames(one, range(6))
    assert order[:2] == [0, 2]
    assert order == sorted(order)
