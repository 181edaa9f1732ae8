"""Every method on a virtual GPU: an outer step, a validation, a checkpoint and what resumes from it."""

import pytest
import torch

from ddcore.methods import METHODS
from ddcore.options import changed
from ddcore.sets import DistilledSet
from ddcore.synthesis.produce import synthesise
from ddcore.unroll import MODES
from tests.virtual_gpu.cases import IMAGES, TEXTS, counted_step
from tests.virtual_gpu.count import read_counts
from tests.virtual_gpu.device import GPU


def test_all_methods_have_a_case_and_all_cases_committed_counts():
    assert read_counts().keys() == {**IMAGES, **TEXTS}.keys()
    assert {name.partition(",")[0] for name in IMAGES} | {"cover"} == set(METHODS)


@pytest.mark.parametrize("name", [*IMAGES, *TEXTS])
def test_a_method_runs_validates_and_resumes(gpu, grounds, name):
    ground, options = (grounds["texts"], TEXTS[name]) if name in TEXTS else (grounds["images"], IMAGES[name])
    loop = ground.loop(name, options)
    counts = counted_step(gpu, loop)
    committed = read_counts()[name]
    more = {column: (count, committed[column]) for column, count in counts.items() if count > committed[column]}
    assert not more, f"more than in results/launches.csv: {more}; the host waits at {gpu.ledger.syncs}"
    assert all(each.device == GPU for each in loop.variables.values())
    loop.check()
    loop._keep()
    again = ground.loop(name, options)
    assert again.checkpoints.restore(again.load_state_dict)
    assert again.step == loop.step == 2
    loop.advance()
    again.advance()
    for key, variable in loop.variables.items():
        torch.testing.assert_close(again.variables[key].cpu(), variable.cpu())
    small = again.synthesis.decode()
    small.save(again.session.folder / "small")
    assert len(DistilledSet.load(again.session.folder / "small")) == len(small)


def test_the_modes_of_an_unroll_are_measured(gpu, grounds):
    loop = grounds["images"].loop("rat-bptt", {**IMAGES["rat-bptt"], "unroll": "auto"})
    loop.choose_mode()
    assert loop.synthesis.mode in MODES


def test_cover_packs_clauses(gpu, grounds):
    ground = grounds["texts"]
    method = changed(METHODS["cover"](), {"rarest": 2, "strongest": 1.0, "candidates": 5})
    small = synthesise(method, ground.problem(4), ground.session("cover"))
    assert len(small) == 4
