import torch
from accelerate import Accelerator

from ddcore.methods.rat_bptt import RatBPTT
from ddcore.runtime.run_folder import Run
from ddcore.synthesis.outer_loop import distill


def test_two_images_teach_fresh_networks_the_toy(toy, tmp_path):
    method = RatBPTT(
        net="mlp",
        images="noise",
        epochs=12,
        window_steps=4,
        pool=3,
        real_batch=32,
        steps=120,
        checks=2,
        rate=0.01,
        image_rate=0.05,
        check_networks=3,
    )
    made = distill(method, "rat-bptt", toy, 2, None, Run.start(tmp_path, "distill", {}), 0, Accelerator(cpu=True))
    assert made.provenance["validation_accuracy"] > 0.9
    assert made.provenance["outer_step"] > 0
    assert made.schedule.start == "random" and made.schedule.rates.shape == (12,)
    assert torch.equal(made.schedule.rates, made.schedule.rates[:1].expand(12)) and not made.ordered
