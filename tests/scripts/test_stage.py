"""What all stage programs share: how they complain, and their exit codes."""

from pathlib import Path

import pytest
import torch

import stage
from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime.signals import INTERRUPTED, REQUEUE, Stopped

WORDS = ["--dataset", "digits", "--out", "nowhere"]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("no such\nnetwork"), 2, "error: no such network"),
        (DDCoreError("the disk is full"), 1, "error: the disk is full"),
        (MemoryError("1 GB"), 1, "error: out of memory (1 GB); try a smaller budget or network"),
        (FileNotFoundError(2, "No such file", "a.csv"), 1, "error: a.csv: No such file"),
        (PermissionError(13, "Permission denied", Path("b")), 1, "error: b: Permission denied"),
        (ConnectionError("reset"), 1, "error: a file or connection: reset"),
        (KeyboardInterrupt(), INTERRUPTED, "stopped: the same command resumes from the last checkpoint"),
        (Stopped(15), REQUEUE, "stopped: the same command resumes from the last checkpoint"),
    ],
)
def test_what_goes_wrong_becomes_one_line_and_an_exit_code(error, code, line, capsys):
    def work(call):
        raise error

    assert stage.run_program("toy", stage.parser("A toy.", "toy.py"), work, WORDS) == code
    assert capsys.readouterr().err == line + "\n"
    assert stage.run_program("toy", stage.parser("A toy.", "toy.py"), work, [*WORDS, "--debug"]) == code
    assert "Traceback" in capsys.readouterr().err


def test_a_program_works_on_what_was_typed():
    calls = []
    assert stage.run_program("toy", stage.parser("A toy.", "toy.py"), calls.append, [*WORDS, "--seed", "3"]) == 0
    assert (calls[0].stage, calls[0].args.seed) == ("toy", 3)
    assert calls[0].command == "scripts/toy.py --dataset digits --out nowhere --seed 3"


@pytest.mark.parametrize("words", [[], ["--seed", "x", *WORDS], ["--dataset", "digits", "--out", "o", "--colour"]])
def test_a_wrong_command_line_is_one_line(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        stage.parser("A toy.", "toy.py").parse_args(words)
    told = capsys.readouterr().err
    assert stopped.value.code == 2 and told.startswith("error: ") and told.count("\n") == 1


def test_only_the_main_process_complains(monkeypatch, capsys):
    for count, lines in (("2", 0), ("1", 1)):  # a RANK that is left over in the shell of a single process hides nothing
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", count)
        with pytest.raises(SystemExit):
            stage.parser("A toy.", "toy.py").parse_args([])
        assert capsys.readouterr().err.count("\n") == lines


def test_memory_that_the_processor_does_not_have_is_one_line(capsys):
    def work(call):
        torch.empty(2**60, dtype=torch.uint8)

    assert stage.run_program("toy", stage.parser("A toy.", "toy.py"), work, WORDS) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: out of memory (") and told.count("\n") == 1 and "you tried to allocate" in told


def test_a_missing_compiler_is_one_line(capsys):
    def work(call):
        raise RuntimeError("Failed to find C compiler. Please specify via CC environment variable.")

    assert stage.run_program("toy", stage.parser("A toy.", "toy.py"), work, WORDS) == 1
    told = capsys.readouterr().err
    assert told == "error: Triton starts its kernels with a C compiler: install gcc, or set CC\n"


def test_another_error_of_torch_stays_a_bug():
    def work(call):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        stage.run_program("toy", stage.parser("A toy.", "toy.py"), work, WORDS)
