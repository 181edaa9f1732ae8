import os
import signal
import time

import pytest

from ddcore.runtime import signals as stopping
from ddcore.runtime.signals import (
    INTERRUPTED,
    REQUEUE,
    Stopped,
    answer,
    asked,
    close,
    deferred,
    end_with_parent,
    listen,
)


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


def test_signals_that_follow_at_once_are_one_request(monkeypatch):
    with pytest.raises(Stopped) as stopped:
        send(signal.SIGTERM)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        send(number)
    assert stopped.value.exit_code == REQUEUE
    monkeypatch.setattr(stopping, "BURST", 0.0)
    with pytest.raises(Stopped):
        send(signal.SIGINT)


def test_a_program_that_ends_is_not_interrupted_again(monkeypatch):
    monkeypatch.setattr(stopping, "BURST", 0.0)
    close()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
        send(number)
    assert not asked()


def test_a_program_on_its_own_waits_for_no_parent(monkeypatch):
    monkeypatch.delenv(stopping.HELD, raising=False)
    end_with_parent()
    monkeypatch.setenv(stopping.HELD, "1")
    with open(os.devnull) as nothing:
        before = os.dup(0)
        os.dup2(nothing.fileno(), 0)
        end_with_parent()  # no pipe: what was set is for another program
        os.dup2(before, 0)
        os.close(before)
    time.sleep(0.05)
    assert not asked()
