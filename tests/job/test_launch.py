"""One command: its log, its bar on a terminal, its memory, and how it is stopped."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from ddcore.errors import DDCoreError
from ddcore.job.launch import launch_command, run_logged

SCRIPTS = Path(__file__).parents[2] / "scripts"


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_what_a_command_says_is_kept_and_its_cost_is_measured(tmp_path):
    log = tmp_path / "logs" / "x.log"
    text = "import os,sys; print(os.environ['A']); x = b'1' * 1_000_000_000; print('told', file=sys.stderr)"
    outcome = run_logged(python(text), {"A": "given"}, log, None)
    assert outcome.code == 0 and outcome.error == ""
    assert log.read_text().splitlines() == ["told", "given"] or log.read_text().splitlines() == ["given", "told"]
    assert outcome.peak_memory_bytes > 1000e6 and outcome.seconds > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import sys; sys.exit('warning: x\\nerror: the disk is full\\nbye')", "the disk is full"),
        ("raise RuntimeError('odd')", "exit status 1: RuntimeError: odd; see {log}"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL; see {log}"),
    ],
)
def test_a_failure_is_told_in_one_line(tmp_path, text, expected):
    log = tmp_path / "x.log"
    assert run_logged(python(text), {}, log, None).error == expected.format(log=log)


def test_a_terminal_sees_the_bar_and_the_log_its_last_state(tmp_path):
    ours, theirs = pty.openpty()
    text = "import sys; assert sys.stderr.isatty(); sys.stderr.write('10 %\\r50 %\\r100 %\\nend\\n')"
    outcome = run_logged(python(text), {}, tmp_path / "x.log", theirs)
    assert outcome.code == 0 and (tmp_path / "x.log").read_text() == "100 %\nend\n"
    assert b"50 %" in os.read(ours, 1000)
    os.close(ours)
    os.close(theirs)


def test_a_command_sees_a_screen_of_the_size_that_it_has(tmp_path):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 33, 77, 0, 0))
    outcome = run_logged(python("import os; print(*os.get_terminal_size(2))"), {}, tmp_path / "x.log", theirs)
    assert outcome.code == 0 and (tmp_path / "x.log").read_text() == "77 33\n"
    os.close(ours)
    os.close(theirs)


def test_stopping_lets_the_command_end_in_order(tmp_path):
    text = (
        "import signal,sys,time\n"
        "def stop(*_): open('stopped','w').write('x'); sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, stop); print('ready', file=sys.stderr, flush=True); time.sleep(60)"
    )
    log = tmp_path / "x.log"

    def interrupt():
        while "ready" not in (log.read_text() if log.exists() else ""):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_logged([sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r})\n{text}"], {}, log, None)
    assert (tmp_path / "stopped").exists() and time.monotonic() - begun < 50


def test_a_log_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DDCoreError, match="cannot write"):
        run_logged(python(""), {}, tmp_path / "file" / "x.log", None)


def test_a_program_starts_under_accelerate_with_its_threads(tmp_path):
    program = tmp_path / "say.py"
    program.write_text(
        "import os,sys; print(os.environ['ACCELERATE_USE_CPU'], os.environ['OMP_NUM_THREADS'], sys.argv[1:])"
    )
    words = launch_command(program, ["--seeds", "3"], gpus=0, threads=1)
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    said = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert said.stdout.split(maxsplit=2) == ["True", "1", "['--seeds', '3']\n"], said


def test_several_gpus_get_a_process_each():
    words = launch_command(SCRIPTS / "evaluate.py", [], gpus=4, threads=2)
    assert "--multi_gpu" in words and words[words.index("--num_processes") + 1] == "4"
    assert "--cpu" not in launch_command(SCRIPTS / "evaluate.py", [], gpus=1, threads=2)


def test_several_processes_leave_nothing_in_the_temporary_folder(tmp_path):
    select = ["random", "--dataset", "digits", "--quick", "--budget", "20", "--out", str(tmp_path / "out")]
    words = launch_command(SCRIPTS / "select_subset.py", select, gpus=2, threads=1)
    (tmp_path / "temporary").mkdir()
    changed = {"ACCELERATE_USE_CPU": "true", "TMPDIR": str(tmp_path / "temporary")}
    outcome = run_logged(words, changed, tmp_path / "log", None)
    assert outcome.code == 0, (tmp_path / "log").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "done").exists() and not list((tmp_path / "temporary").iterdir())


# A job that runs one stage; the stage says where it is, and that it was asked to stop.
PARENT = """
import sys
from pathlib import Path
from ddcore.job.launch import run_logged
run_logged([sys.executable, "-c", sys.argv[1], *sys.argv[2:]], {}, Path(sys.argv[2]) / "log", None)
"""
CHILD = """
import os, pathlib, sys, time
from ddcore.runtime import Stopped, end_with_parent, listen
listen()
end_with_parent()
here = pathlib.Path(sys.argv[1])
try:
    (here / "new").write_text(str(os.getpid()))
    (here / "new").rename(here / "pid")
    time.sleep(60)
except Stopped as stopped:
    (here / f"stopped-{stopped.exit_code}").touch()
"""


def test_a_stage_saves_its_state_when_the_job_is_killed(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD, str(tmp_path)])
    until = time.monotonic() + 60
    while not (tmp_path / "pid").exists():
        assert parent.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    assert not (tmp_path / "stopped-75").exists()
    parent.kill()
    parent.wait()
    while not (tmp_path / "stopped-75").exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_screen_that_is_gone_ends_nothing(tmp_path):
    reader, screen = os.pipe()
    os.close(reader)
    outcome = run_logged(python("import sys; print('said', file=sys.stderr)"), {}, tmp_path / "x.log", screen)
    os.close(screen)
    assert outcome.code == 0 and (tmp_path / "x.log").read_text() == "said\n"
