import pytest
import torch
from toys import problem, session_in

from ddcore.errors import UsageError
from ddcore.methods.boost_dd import BoostDD
from ddcore.options import changed
from ddcore.runtime.session import Session
from ddcore.sets.distilled_set import DistilledSet
from ddcore.synthesis.contract import Shard
from ddcore.synthesis.outer_loop import distilled_set

SHORT = {
    "net": "mlp",
    "epochs": 4,
    "window_steps": 2,
    "pool": 2,
    "real_batch": 16,
    "steps": 5,
    "validations": 1,
    "validation_networks": 1,
    "blocks": "1,3",
}


def short(**more) -> BoostDD:
    return changed(BoostDD(), {**SHORT, **more})


def made_by(method, toy, folder, progress=None):
    return distilled_set(method, problem(toy, 6), session_in(folder, progress))


def stages(method, toy):
    """The first stage, and the second one as it begins."""
    first = method.start(problem(toy, 6), Session())
    return first, method.start_stage(1, first.decode(), problem(toy, 6), Session())


def test_every_prefix_is_a_set_and_still_blocks_stay(toy, tmp_path):
    made = made_by(short(earlier=0.0), toy, tmp_path)
    first = DistilledSet.load(tmp_path / "stage-0")
    assert made.ordered and len(made) == 6 and len(first) == 2
    assert torch.equal(made.x[:2], first.x)
    cut = made.prefix(2)
    assert torch.equal(cut.x, first.x) and cut.schedule.order.tolist() == [[0, 1]] * 4


def test_earlier_blocks_move_on_at_the_reduced_rate(toy):
    first, grown = stages(short(earlier=0.25), toy)
    rates = grown.groups["images"].rate.flatten()
    assert torch.equal(rates, 0.05 * torch.tensor([0.25, 0.25, 1, 1, 1, 1]))
    assert torch.equal(grown.learned.x[:2], first.learned.x)


def grown(toy):
    return stages(short(labels="learned"), toy)


def test_a_step_rehearses_an_earlier_prefix_as_if_it_were_alone(toy):
    first, whole = grown(toy)
    own, rehearsal = whole.shards(0)
    assert whole.gradient(own).gradients["x"][2:].abs().max() > 0
    part, alone = whole.gradient(rehearsal), first.gradient(Shard(rehearsal.step, rehearsal.part))
    for name in ("x", "soft"):
        assert torch.equal(part.gradients[name][:2], alone.gradients[name])
        assert not part.gradients[name][2:].any()
    assert torch.equal(part.gradients["log_rates"], alone.gradients["log_rates"])


def test_prefixes_see_what_the_whole_becomes_and_all_of_them_count(toy):
    _, whole = grown(toy)
    before = whole.score(0)
    whole.learned.x[:2] = whole.learned.x[:2].flip(0)
    whole.learned.soft[:2] = whole.learned.soft[:2].flip(0)
    assert torch.equal(whole.earlier[0].learned.x, whole.learned.x[:2])
    assert whole.score(0) == pytest.approx(before, abs=1e-6), "the order within a batch means nothing"
    whole.learned.soft[:2] = whole.learned.soft[:2].flip(0)
    alone = whole.earlier[0].score(0)
    assert alone < 0.5, "swapped labels ruin the prefix"
    assert whole.score(0) < before


def test_a_stage_goes_on_from_its_state_with_the_same_bits(toy):
    _, straight = grown(toy)
    _, other = grown(toy)
    for step in range(3):
        if step == 2:
            other.load_state_dict({name: t.clone() for name, t in straight.state_dict().items()})
        for shard in straight.shards(step):
            straight.absorb(shard, straight.gradient(shard).update)
    for shard in other.shards(2):
        other.absorb(shard, other.gradient(shard).update)
    ours, theirs = straight.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys() and any(name.startswith("earlier.0.pool") for name in ours)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_smaller_stages_take_more_steps():
    assert [BoostDD(steps=100).of_stage(size, 80).steps for size in (5, 80)] == [800, 100]


def test_a_finished_stage_is_not_run_again(toy, tmp_path):
    straight = made_by(short(), toy, tmp_path / "straight")

    def stop(step, total, values):
        assert total == 16
        if step == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made_by(short(), toy, tmp_path / "cut", stop)
    assert (tmp_path / "cut" / "stage-0" / "set.json").exists()
    assert torch.equal(made_by(short(), toy, tmp_path / "cut").x, straight.x)


@pytest.mark.parametrize("blocks", ["1,2", "3,1", "0,3", "one,3", "1,1,3"])
def test_blocks_must_rise_to_the_budget(toy, blocks):
    with pytest.raises(UsageError, match="--blocks"):
        short(blocks=blocks).stages(problem(toy, 6))
