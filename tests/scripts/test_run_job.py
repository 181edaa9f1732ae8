"""The whole job's command line."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import run_job

from ddcore.job import plan
from ddcore.job.runner import Job

REPO = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def reference_machine(monkeypatch):
    """Nothing is timed."""
    monkeypatch.setattr(plan, "slowness", lambda: 1.0)


@pytest.mark.parametrize("words", [["--list"], ["--dry-run"], ["--list", "--fresh"]])
@pytest.mark.parametrize("held", ["[", '{"choices": {"quick": true}}', '{"choices": 3}'])
def test_list_and_dry_run_never_look_at_what_the_folder_holds(words, held, tmp_path, capsys):
    (tmp_path / "job.json").write_text(held)
    assert run_job.main([*words, "--only", "digits", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "digits/half" in said.out and not said.err and (tmp_path / "job.json").read_text() == held


def test_a_quick_job_goes_to_a_folder_of_its_own(tmp_path, monkeypatch):
    places = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Job, "run", lambda job: places.append(job.place.out) or True)
    for words in ([], ["--quick"], ["--quick", "--out", "here"]):
        assert run_job.main(["--only", "digits", *words]) == 0
    assert places == [Path("runs"), Path("runs/quick"), Path("here")]


def test_the_ledger_lies_in_the_jobs_folder_unless_a_file_is_named(tmp_path, monkeypatch):
    ledgers = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Job, "run", lambda job: ledgers.append(job.place.ledger) or True)
    for words in ([], ["--ledger"], ["--ledger", "--out", "here"], ["--ledger", "results/ledger.jsonl"]):
        assert run_job.main(["--only", "digits", *words]) == 0
    assert ledgers == [None, Path("runs/ledger.jsonl"), Path("here/ledger.jsonl"), Path("results/ledger.jsonl")]


def test_list_and_dry_run_show_the_job_and_change_nothing(tmp_path, capsys):
    out = tmp_path / "runs"
    assert run_job.main(["--list", "--out", str(out), "--only", "imdb"]) == 0
    listed = capsys.readouterr().out
    assert "imdb/half-hard" in listed and "fashion" not in listed and "about" in listed.splitlines()[-1]
    assert run_job.main(["--dry-run", "--quick", "--out", str(out)]) == 0
    assert "scripts/train_baseline.py --part fit --seeds 2 --dataset fashion_mnist" in capsys.readouterr().out
    assert not out.exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run_job.main(["--only", "digits", "--out", str(tmp_path / "file" / "runs")]) == 1
    line = capsys.readouterr().err
    assert line.startswith("error: cannot write") and line.count("\n") == 1


def test_a_job_with_other_options_is_refused_and_fresh_puts_it_aside(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Job, "run", lambda job: job.record.write() or True)
    out = tmp_path / "runs"
    words = ["--only", "digits", "--out", str(out)]
    assert run_job.main([*words, "--quick"]) == 0
    assert run_job.main(words) == 2
    assert "quick was True, now False" in capsys.readouterr().err
    assert run_job.main([*words, "--fresh"]) == 0
    assert (tmp_path / "runs.old-1" / "job.json").exists()


def test_one_data_set_can_take_the_place_of_the_two(pets, tmp_path, capsys):
    words = ["--dataset", f"images:{pets}", "--dry-run", "--out", str(tmp_path / "runs")]
    assert run_job.main([*words, "--budget", "10"]) == 0
    listed = capsys.readouterr().out
    assert f"--budget 10 --teacher {tmp_path}/runs/images-pets/teacher" in listed and "fashion" not in listed
    assert f"--dataset images:{pets}" in listed
    for odd in (["--budget", "11"], ["--only", "imdb"]):
        assert run_job.main([*words, *odd]) == 2
    assert run_job.main(["--budget", "10", "--list"]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_an_incomplete_job_exits_with_1(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Job, "run", lambda job: False)
    assert run_job.main(["--only", "digits", "--out", str(tmp_path)]) == 1
    assert "the same command resumes it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--seeds", "0"], ["--seed", "-1"], ["--only", "svhn"], ["--profile", "tpu"], ["--seeds", "1e3"]]
)
def test_options_that_make_no_sense_exit_with_2(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_job.main(words)
    assert stopped.value.code == 2


def test_a_gpu_that_is_not_there_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(run_job.torch.cuda, "is_available", lambda: False)
    assert run_job.main(["--profile", "gpu", "--list", "--out", str(tmp_path)]) == 2
    assert "leave it out" in capsys.readouterr().err


def test_run_all_uses_the_python_that_ddcore_is_installed_in(tmp_path):
    try:
        metadata.version("ddcore")
    except metadata.PackageNotFoundError:
        pytest.skip("ddcore is not installed in this Python")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    said = subprocess.run(
        [REPO / "run_all.sh", "--list", "--only", "digits"],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0 and "digits/half" in said.stdout, said
