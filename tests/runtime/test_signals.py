import os
import signal
import time

import pytest

from ddcore.runtime import signals as stopping
from ddcore.runtime.signals import INTERRUPTED, REQUEUE, Stopped, answer, asked, deferred, listen


@pytest.fixture(autouse=True)
def listening():
    """Listen for one test; the handlers that were there come back."""
    before = {number: signal.getsignal(number) for number in (*stopping.SIGNALS, signal.SIGALRM)}
    listen()
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    listen()  # forgets what no test has answered
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize(
    "number, code", [(signal.SIGTERM, REQUEUE), (signal.SIGUSR1, REQUEUE), (signal.SIGINT, INTERRUPTED)]
)
def test_outside_of_work_a_signal_ends_at_once(number, code):
    with pytest.raises(Stopped) as stopped:
        send(number)
    assert stopped.value.exit_code == code and not asked()


def test_inside_the_work_answers_where_its_state_is_whole():
    done = []
    with pytest.raises(Stopped), deferred():
        for step in range(9):
            if step == 3:
                send(signal.SIGTERM)
            done.append(step)
            if asked():
                answer()
    assert done == [0, 1, 2, 3]


def test_work_that_ends_meanwhile_is_answered_at_its_end():
    done = []
    with pytest.raises(Stopped) as stopped:
        with deferred(), deferred():
            send(signal.SIGUSR1)
            done.append("inner")
        done.append("never")
    assert done == ["inner"] and stopped.value.exit_code == REQUEUE


def test_a_step_that_takes_too_long_is_cut_short(monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE", 0.05)
    with pytest.raises(Stopped), deferred():
        send(signal.SIGTERM)
        time.sleep(5)
        raise AssertionError("waited for the step")


def test_a_second_interrupt_does_not_wait():
    with pytest.raises(Stopped), deferred():
        send(signal.SIGINT)
        assert asked()
        send(signal.SIGINT)
        raise AssertionError("waited for the step")


def test_an_error_inside_goes_first():
    with pytest.raises(ValueError), deferred():
        send(signal.SIGTERM)
        raise ValueError
