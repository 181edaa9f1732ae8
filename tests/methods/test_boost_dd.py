import pytest
import torch
from accelerate import Accelerator

from ddcore.distillation import distill
from ddcore.distilled_set import DistilledSet
from ddcore.errors import UsageError
from ddcore.methods.boost_dd import BoostDD
from ddcore.runs import Run

CPU = torch.device("cpu")
SHORT = {"net": "mlp", "epochs": 4, "window_steps": 2, "pool": 2, "real_batch": 16, "steps": 5, "checks": 1,
         "check_networks": 1, "blocks": "1,3"}  # fmt: skip


def made_by(method, toy, folder):
    return distill(method, "boost-dd", toy, 6, None, Run.start(folder, "distill", {}), 0, Accelerator(cpu=True))


def test_every_prefix_is_a_set_and_still_blocks_stay(toy, tmp_path):
    made = made_by(BoostDD(**SHORT, earlier=0.0), toy, tmp_path)
    first = DistilledSet.load(tmp_path / "stage-0")
    assert made.ordered and len(made) == 6 and len(first) == 2
    assert torch.equal(made.x[:2], first.x)
    cut = made.prefix(2)
    assert torch.equal(cut.x, first.x) and cut.schedule.order.tolist() == [[0, 1]] * 4


def test_earlier_blocks_move_on_at_the_reduced_rate(toy):
    method = BoostDD(**SHORT, earlier=0.25)
    first = method.start_stage(0, None, toy, 6, None, 0, CPU)
    grown = method.start_stage(1, first.decode(), toy, 6, None, 0, CPU)
    rates = grown.groups["images"].rate.flatten()
    assert torch.equal(rates, 0.05 * torch.tensor([0.25, 0.25, 1, 1, 1, 1]))
    assert torch.equal(grown.variables.x[:2], first.variables.x)


def test_smaller_stages_take_more_steps():
    assert [BoostDD(steps=100).of_stage(size, 80).steps for size in (5, 20, 80)] == [400, 200, 100]


def test_a_finished_stage_is_not_run_again(toy, tmp_path):
    straight = made_by(BoostDD(**SHORT), toy, tmp_path / "straight")
    run = Run.start(tmp_path / "cut", "distill", {})

    def stop(step, total, values):
        assert total == 14
        if step == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(BoostDD(**SHORT), "boost-dd", toy, 6, None, run, 0, Accelerator(cpu=True), stop)
    assert (tmp_path / "cut" / "stage-0" / "set.json").exists()
    assert torch.equal(made_by(BoostDD(**SHORT), toy, tmp_path / "cut").x, straight.x)


@pytest.mark.parametrize("blocks", ["1,2", "3,1", "0,3", "one,3", "1,1,3"])
def test_blocks_must_rise_to_the_budget(toy, blocks):
    with pytest.raises(UsageError, match="--blocks"):
        BoostDD(blocks=blocks).stages(toy, 6)
