import re

import pytest

from ddcore.errors import DDCoreError
from ddcore.runtime.logs import LOG, SHOWN, log_to, show_warnings


def test_every_line_has_its_time_and_process_and_goes_to_one_file(tmp_path, capsys):
    first = log_to(tmp_path / "a", 0, 2, "scripts/distill.py dm")
    LOG.info("a member of %d", 7)
    second = log_to(tmp_path / "b", 1, 2, "scripts/distill.py dm")
    LOG.error("gone")
    assert (first.name, second.name) == ("rank-0.log", "rank-1.log")
    begun, line = first.read_text().splitlines()
    assert "scripts/distill.py dm: process 1 of 2, pid " in begun
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ rank 0 INFO a member of 7", line)
    assert second.read_text().splitlines()[1].endswith("rank 1 ERROR gone")
    assert capsys.readouterr() == ("", "")


def test_a_log_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "logs").write_text("")
    with pytest.raises(DDCoreError, match="cannot write"):
        log_to(tmp_path, 0, 1, "")


def test_warnings_are_printed_once_until_there_is_a_log_file(tmp_path, capsys):
    for _ in range(2):
        show_warnings()
    LOG.info("a member")
    LOG.warning("half of it is %s", "gone")
    assert capsys.readouterr().err == "warning: half of it is gone\n"
    log_to(tmp_path, 0, 1, "")
    assert SHOWN not in LOG.handlers
