import json

from accelerate import Accelerator

from ddcore import DistilledSet
from ddcore.methods.dm import DM
from ddcore.runtime.run_folder import Run
from ddcore.selection.random_choice import RandomChoice
from ddcore.synthesis.produce import select, synthesise


def test_a_selection_is_written_with_its_recipes_and_a_picture(toy, tmp_path):
    run = Run.start(tmp_path / "run", "make", {})
    made = select(RandomChoice(), "random", toy, 6, "hard", 1.0, None, run, 3, Accelerator(), "cpu", True)
    kept = DistilledSet.load(run.folder)
    assert run.finished and kept.indices.tolist() == made.indices.tolist() and kept.method == "random"
    assert set(kept.recipes) >= {"mlp", "lenet"} and (run.folder / "grid.png").exists()
    assert json.loads((run.folder / "result.json").read_text())["members"] == 6


def test_a_synthesis_leaves_its_set_and_no_checkpoint(toy, tmp_path):
    run = Run.start(tmp_path / "run", "make", {})
    synthesise(DM(net="mlp").quick(), "dm", toy, 4, None, run, 0, Accelerator(), "cpu", True)
    assert run.finished and len(DistilledSet.load(run.folder)) == 4
    assert not (run.folder / "checkpoint.safetensors").exists()
