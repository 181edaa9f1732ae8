import pytest
import torch
from toys import started

from ddcore.errors import UsageError
from ddcore.methods.rat_bptt import RatBPTT
from ddcore.methods.windows import correlation
from ddcore.options import changed
from ddcore.synthesis.contract import Shard

SHORT = {"net": "mlp", "epochs": 12, "window_steps": 4, "pool": 3, "real_batch": 16}


def run(toy, **changes):
    return started(changed(RatBPTT(), {**SHORT, **changes}), toy, 4)


def test_windows_cover_the_whole_unroll(toy):
    made = run(toy)
    seen = set()
    for step in range(40):
        for shard in made.shards(step):
            start = made.members[shard.part].taken
            assert 0 <= start <= 12 - 4
            seen |= set(range(start, start + 4))
            made.absorb(shard, made.gradient(shard).update)
    assert seen == set(range(12))


def test_a_network_goes_on_where_its_window_ended(toy):
    made = run(toy)
    shard = Shard(0, 0)
    before = made.members[0]
    made.absorb(shard, made.gradient(shard).update)
    after = made.members[0]
    assert after.taken == before.taken + 4 or before.taken + 8 > 12
    assert not torch.equal(after.theta, before.theta)


def test_full_and_last_agree_where_the_window_is_the_unroll(toy):
    full = run(toy, window="full").gradient(Shard(0, 0))
    last = run(toy, window="last", window_steps=12).gradient(Shard(0, 0))
    torch.testing.assert_close(full.gradients["x"], last.gradients["x"])
    short = run(toy, window="last").gradient(Shard(0, 0))
    assert not torch.allclose(short.gradients["x"], full.gradients["x"], rtol=1e-3, atol=0)
    assert short.values["loss"] == pytest.approx(full.values["loss"])


def test_a_window_longer_than_the_unroll_is_refused(toy):
    with pytest.raises(UsageError, match="--window-steps 13 exceeds the unroll of 12"):
        run(toy, window_steps=13)


def test_correlation_by_hand():
    one = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    assert correlation(one) == pytest.approx(1.0)
    assert correlation(torch.tensor([[1.0, 0.0], [0.0, 3.0]])) == pytest.approx(0.0)
    assert correlation(torch.tensor([[1.0, 0.0], [-3.0, 0.0]])) == pytest.approx(-1.0)
