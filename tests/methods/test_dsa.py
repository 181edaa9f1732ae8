import torch
from toys import ONE_VALIDATION, started

from ddcore.methods.dc import DC
from ddcore.methods.dsa import DSA
from ddcore.options import changed

SHORT = {"net": "mlp", "real_batch": 8, **ONE_VALIDATION, "inner": 2}


def short(method, **more):
    return changed(method, {**SHORT, **more})


def both(run, x, step):
    return [pair for shard in run.shards(step) for pair in run.pairs(x, shard)]


def test_real_and_synthetic_members_are_changed_alike(toy):
    run = started(short(DSA(), augment="flip"), toy, 4)
    plain = started(short(DC()), toy, 4)
    for step in range(6):
        for ours, still in zip(both(run, run.x, step), both(plain, plain.x, step), strict=True):
            mirrored = {torch.equal(a, b.flip(3)) for a, b in ((ours.real, still.real), (ours.x, still.x))}
            assert len(mirrored) == 1


def test_pixels_share_one_second_moment(toy):
    assert started(short(DSA()), toy, 4).groups["images"].together
    assert not started(short(DC()), toy, 4).groups["images"].together
