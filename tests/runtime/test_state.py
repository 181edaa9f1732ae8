import torch

from ddcore.runtime.state import packed, under, unpacked

PARTS = {"net": {"a.weight": torch.ones(1), "b": torch.zeros(2)}, "pool.3": {"taken": torch.tensor(4)}}


def test_parts_come_back_under_their_own_names():
    state = packed(PARTS) | {"step": torch.tensor(7)}
    assert set(state) == {"net.a.weight", "net.b", "pool.3.taken", "step"}
    assert (
        under("net", state) == PARTS["net"] and under("pool.3", state) == PARTS["pool.3"] and under("ne", state) == {}
    )
    assert unpacked(state) == {"net": PARTS["net"], "pool": {"3.taken": PARTS["pool.3"]["taken"]}}
    assert unpacked(unpacked(state)["pool"]) == {"3": PARTS["pool.3"]}
