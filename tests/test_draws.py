import contextlib

import torch

from ddcore.draws import batches, generator, permutation, scoped, seed_of, whole_epochs


def test_a_draw_depends_on_its_key_alone():
    first = torch.randn(3, generator=generator(0, "batch", 5))
    torch.randn(100)
    again = torch.randn(3, generator=generator(0, "batch", 5))
    other = torch.randn(3, generator=generator(0, "batch", 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_keys_of_different_types_do_not_collide():
    assert len({seed_of(1, 23), seed_of(12, 3), seed_of("1", 23), seed_of(1, 2, 3)}) == 4


def test_the_seed_of_a_key_is_the_same_on_every_machine():
    assert seed_of(0, "batch", 5) == 2588853085188090449


def test_a_permutation_holds_every_index_once():
    assert sorted(permutation(50, 0, "order").tolist()) == list(range(50))


def test_batches_see_every_member_once_an_epoch_and_begin_anywhere():
    rows = list(batches(10, 3, range(7), 0, "order"))
    assert all(len(set(torch.cat(rows[i : i + 3]).tolist())) == 9 for i in (0, 3))
    assert not torch.equal(rows[0], rows[3])
    later = batches(10, 3, range(4, 7), 0, "order")
    assert all(torch.equal(a, b) for a, b in zip(rows[4:], later, strict=True))
    assert len(next(batches(2, 256, range(1), 0, "order"))) == 2


def test_a_scoped_seed_leaves_the_global_stream_alone():
    torch.manual_seed(7)
    expected = torch.randn(2)
    torch.manual_seed(7)
    with scoped(0, "weights"):
        torch.randn(5)
    assert torch.equal(torch.randn(2), expected)


def test_only_the_gpu_in_use_is_put_back(monkeypatch):
    forked = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: forked.append(devices) or contextlib.nullcontext())
    with scoped(0):
        pass
    assert forked == [[3]]


def test_whole_epochs_leave_nobody_out():
    taken = list(whole_epochs(5, 2, range(6), 1))
    assert [len(each) for each in taken] == [2, 2, 1] * 2
    assert sorted(torch.cat(taken[:3]).tolist()) == list(range(5))
    assert [each.tolist() for each in whole_epochs(5, 2, range(4, 6), 1)] == [each.tolist() for each in taken[4:]]
