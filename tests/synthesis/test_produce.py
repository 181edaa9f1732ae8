import json

from toys import problem, session_in

from ddcore import DistilledSet
from ddcore.methods.dm import DM
from ddcore.selection.random_choice import RandomChoice
from ddcore.synthesis.produce import select_set, synthesise


def test_a_selection_is_written_with_its_recipes_and_a_picture(toy, tmp_path):
    session = session_in(tmp_path / "run")
    made = select_set(RandomChoice(), problem(toy, 6, seed=3), session)
    kept = DistilledSet.load(session.folder)
    assert session.finished and kept.indices.tolist() == made.indices.tolist() and kept.method == "random"
    assert set(kept.recipes) >= {"mlp", "lenet"} and (session.folder / "grid.png").exists()
    assert json.loads((session.folder / "result.json").read_text())["members"] == 6


def test_a_synthesis_leaves_its_set_and_no_checkpoint(toy, tmp_path):
    session = session_in(tmp_path / "run")
    synthesise(DM(net="mlp").quick(), problem(toy, 4), session)
    assert session.finished and len(DistilledSet.load(session.folder)) == 4
    assert not (session.folder / "checkpoint.safetensors").exists()
