import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session


def test_a_session_by_default_is_one_process_that_writes_nothing_and_tells_nobody():
    session = Session()
    session.tell("a line")
    session.report(1, 2)
    session.wait()
    with session.processes.main_process_first():
        assert session.main and session.device == torch.device("cpu")
    with pytest.raises(DDCoreError, match="needs a run folder"):
        _ = session.folder


def test_a_session_tells_lines_and_how_far_the_work_is(tmp_path):
    lines, steps = [], []
    session = Session(Run(tmp_path), progress=lambda *step: steps.append(step), say=lines.append)
    session.tell("a line")
    session.report(3, 10)
    assert (lines, steps, session.folder) == (["a line"], [(3, 10, {})], tmp_path)


def test_work_is_done_part_by_part_in_order():
    assert [int(part) for part in Session().each(3, lambda k: torch.tensor(k * k))] == [0, 1, 4]
