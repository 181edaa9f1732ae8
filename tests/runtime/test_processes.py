from ddcore.runtime.processes import Alone


def test_one_process_alone_is_the_main_one_and_waits_for_nobody():
    alone = Alone()
    alone.wait_for_everyone()
    with alone.main_process_first():
        assert (alone.num_processes, alone.process_index, alone.is_main_process) == (1, 0, True)
