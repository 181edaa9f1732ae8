import pytest
import torch

from ddcore.runtime import processes
from ddcore.runtime.processes import Alone


def test_one_process_alone_is_the_main_one_and_waits_for_nobody():
    alone = Alone()
    alone.wait_for_everyone()
    with alone.main_process_first():
        assert (alone.num_processes, alone.process_index, alone.is_main_process) == (1, 0, True)


@pytest.mark.parametrize(("given", "threads"), [(None, 3), ("5", 5)])
def test_a_container_gets_no_more_threads_than_its_share_unless_told(given, threads, monkeypatch):
    monkeypatch.setattr(processes, "available_cores", lambda: 3)
    monkeypatch.setattr(processes, "bind", lambda *_: [])
    if given is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    torch.set_num_threads(5)
    opened = processes.open_processes()
    assert torch.get_num_threads() == threads
    assert (opened.num_processes, opened.process_index, opened.is_main_process) == (1, 0, True)
