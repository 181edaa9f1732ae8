"""Every selector on a virtual GPU."""

import pytest
import torch

from ddcore.options import changed, options_of
from ddcore.selection import SELECTORS, rl_agent
from ddcore.synthesis import select_set

SHORT = {"share": 0.01, "net": "mlp", "rounds": 2, "episodes": 8, "judges": 1, "folds": 2, "networks": 2}


@pytest.mark.parametrize("name", SELECTORS)
def test_a_selector_chooses_what_it_chooses_on_the_host(gpu, grounds, name, monkeypatch):
    monkeypatch.setattr(rl_agent, "JUDGE_STEPS", 2)
    kind = "images" if "images" in SELECTORS[name].kinds else "text"
    ground = grounds["images" if kind == "images" else "texts"]
    known = {each.name for each in options_of(SELECTORS[name])}
    options = {key: value for key, value in SHORT.items() if key in known}
    selector = changed(SELECTORS[name](), {**options, "labels": "soft"})
    small = select_set(selector, ground.problem(20 if kind == "images" else 4), ground.session(name))
    members = small.indices if name != "rded" else torch.tensor(small.provenance["crops"])[:, 0, 0]
    assert len(members.unique()) == len(small) and small.soft is not None
    assert members.device == small.soft.device == small.y.device == torch.device("cpu")
