"""Parts of a work, shared by processes: here a process that stands for two."""

from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator

from ddcore.runtime.gather import ALIGNED, Exchange, Share, agreed, framed

SENT = [
    {"x": torch.tensor([[0.0, 0.0], [1.5, -0.0], [0.0, 0.0]]), "steps": torch.tensor(7), "none": torch.zeros(0, 3)},
    {"x": torch.tensor([[-0.0, 0.0], [0.0, 0.0], [float("nan"), 2.0]]), "half": torch.ones(3, dtype=torch.float16)},
    {"mask": torch.tensor([True, False, True]), "rows": torch.zeros(4, 2, dtype=torch.float64), "view": torch.eye(3).T},
]


@pytest.fixture
def both(monkeypatch):
    """An exchange of process 0 of 2; process 1 sends the second part, in frames as long as its own would be."""
    first, second = (
        Exchange(SimpleNamespace(num_processes=2, process_index=k, device=torch.device("cpu"))) for k in range(2)
    )

    def gather(frame):
        rounds.append(len(frame))
        return torch.cat([frame, framed(sent, len(frame) - ALIGNED)])

    sent = second._message([Share(1, SENT[1], {"loss": 0.5})], "second")
    rounds = first.rounds = []
    monkeypatch.setattr("accelerate.utils.gather", gather)
    return first


def bits(tensor):
    return tensor.shape, tensor.dtype, tensor.contiguous().reshape(-1).view(torch.uint8).tolist()


def test_all_parts_come_in_order_with_the_bits_that_were_sent(both):
    found = both.gathered([Share(2, SENT[2]), Share(0, SENT[0], "kept")], "first")
    assert both.words == ["first", "second"]
    assert [share.number for share in found] == [0, 1, 2]
    assert [share.rest for share in found] == ["kept", {"loss": 0.5}, None]
    for share, sent in zip(found, SENT, strict=True):
        assert {name: bits(tensor) for name, tensor in share.tensors.items()} == {
            name: bits(tensor) for name, tensor in sent.items()
        }
    assert both.seconds > 0


def test_messages_that_fit_into_the_frames_of_the_last_time_travel_once(both):
    for part in (SENT[2], SENT[0], SENT[2], SENT[0]):
        (second,) = [share for share in both.gathered([Share(0, part)]) if share.number == 1]
        assert bits(second.tensors["x"]) == bits(SENT[1]["x"])
    assert both.rounds[0] == ALIGNED and len(both.rounds) <= 6 and both.rounds[-1] == max(both.rounds)


def test_rows_of_zeros_stay_at_home(both):
    form, content = both._packed("x", torch.cat([torch.zeros(100, 8), torch.ones(1, 8)]))
    assert form.rows == [100] and len(content) == 32


def test_a_process_alone_sends_nothing():
    alone = Exchange(Accelerator(cpu=True))
    shares = [Share(k, SENT[k]) for k in (2, 0, 1)]
    assert [share.number for share in alone.gathered(shares)] == [0, 1, 2] and alone.seconds == 0
    assert alone.mine(5) == range(5) and agreed("x", alone.accelerator) == "x"


@pytest.mark.parametrize("count", [0, 1, 5, 6])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_compute_every_share_once(processes, count):
    places = [SimpleNamespace(num_processes=processes, process_index=k) for k in range(processes)]
    numbers = [number for place in places for number in Exchange(place).mine(count)]
    assert sorted(numbers) == list(range(count))
