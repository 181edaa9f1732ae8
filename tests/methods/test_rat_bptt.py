import torch
from toys import problem, session_in

from ddcore.methods.rat_bptt import RatBPTT
from ddcore.options import changed
from ddcore.synthesis.outer_loop import distilled_set


def test_two_images_teach_fresh_networks_the_toy(toy, tmp_path):
    options = {
        "net": "mlp",
        "init": "noise",
        "epochs": 12,
        "window_steps": 4,
        "pool": 3,
        "real_batch": 32,
        "steps": 120,
        "validations": 2,
        "rate": 0.01,
        "image_rate": 0.05,
        "validation_networks": 3,
    }
    made = distilled_set(changed(RatBPTT(), options), problem(toy, 2), session_in(tmp_path))
    assert made.provenance["validation_accuracy"] > 0.9
    assert made.provenance["outer_step"] > 0
    assert made.schedule.start == "random" and made.schedule.rates.shape == (12,)
    assert torch.equal(made.schedule.rates, made.schedule.rates[:1].expand(12)) and not made.ordered
