"""The overnight script and the batch job: what starts again and what does not, with stand-ins for Docker and Slurm."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]

# Notes its words, a line a call, and ends with the code that the file `codes` has for this call.
STAND_IN = """#!/usr/bin/env bash
name=${0##*/}
printf '%s|' "$name" "$@" >>"$NOTES/calls"; echo >>"$NOTES/calls"
case $name in
    docker | srun) read -r code rest <"$NOTES/codes"; echo "$rest" >"$NOTES/codes"; exit "$code" ;;
    nvidia-smi) exit "$NO_GPU" ;;
esac
"""

# Runs until it is told to save, by USR1 as a Slurm step or by `docker stop`.
WAITS = """#!/usr/bin/env bash
if [[ ${1:-} == stop ]]; then kill -USR1 "$(cat "$NOTES/pid")"; while [[ -e $NOTES/pid ]]; do sleep 0.05; done; exit; fi
trap 'rm "$NOTES/pid"; exit 75' USR1
echo "start" >>"$NOTES/calls"; echo $$ >"$NOTES/pid.new"; mv "$NOTES/pid.new" "$NOTES/pid"
while true; do sleep 0.05; done
"""


@pytest.fixture
def place(tmp_path):
    """A folder to work in, and the environment in which the stand-ins are found."""
    for name in ("docker", "srun", "scontrol", "sleep", "nvidia-smi"):
        stand_in(tmp_path, name, STAND_IN)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "DDCORE_"))}
    return tmp_path, {
        **inherited,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "NOTES": str(tmp_path),
        "NO_GPU": "1",
        "SLURM_ARRAY_TASK_ID": "3",
        "SLURM_JOB_ID": "77",
    }


def stand_in(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def start(script: str, place, *words: str, **more: str) -> subprocess.Popen:
    folder, environment = place
    return subprocess.Popen(
        [REPO / "docker" / script, *words], cwd=folder, env={**environment, **more}, stdout=subprocess.PIPE, text=True
    )


def calls(folder: Path, name: str) -> list[list[str]]:
    """Return the words of each call of a stand-in."""
    lines = (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []
    return [line.split("|")[1:-1] for line in lines if line.startswith(f"{name}|")]


def run(script: str, codes: str, place, *words: str, **more: str) -> int:
    (place[0] / "codes").write_text(f"{codes}\n")
    process = start(script, place, *words, **more)
    process.communicate(timeout=60)
    return process.returncode


@pytest.mark.parametrize("code", [0, 1, 2, 130, 137])
def test_overnight_starts_again_after_75_alone(place, code):
    folder, _ = place
    assert run("overnight.sh", f"75 75 {code}", place, "launch", "train", "--out", "runs/a b") == code
    started = calls(folder, "docker")
    assert len(started) == 3 and started[0] == started[1] == started[2]
    assert started[0][-5:] == ["ddcore", "launch", "train", "--out", "runs/a b"]
    assert len(calls(folder, "sleep")) == 2
    log = (folder / "runs" / "overnight.log").read_text()
    assert log.count("start: ddcore launch train") == 3 and log.endswith(f"ended with {code}\n")


def test_overnight_lends_the_container_two_folders_and_the_gpus_that_are_there(place):
    folder, _ = place
    run("overnight.sh", "0", place)
    run("overnight.sh", "0", place, "--quick", NO_GPU="0", IMAGE="other", RUNS=str(folder / "else where"))
    first, second = calls(folder, "docker")
    assert {"--read-only", "--init", f"{folder}/data:/data", f"{folder}/runs:/runs"} <= set(first)
    assert first[first.index("--user") + 1] == f"{os.getuid()}:{os.getgid()}"
    assert "--gpus" not in first and first[-1] == "ddcore"
    assert second[second.index("--gpus") + 1] == "all" and f"{folder}/else where:/runs" in second
    assert second[-2:] == ["other", "--quick"]


@pytest.mark.parametrize(("script", "given"), [("overnight.sh", signal.SIGTERM), ("slurm.sbatch", signal.SIGUSR1)])
def test_a_signal_lets_the_program_save(place, script, given):
    folder, _ = place
    for name in ("docker", "srun"):
        stand_in(folder, name, WAITS)
    (folder / "sleep").unlink()
    process = start(script, place, "train")
    until = time.monotonic() + 60
    while not (folder / "pid").exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(given)
    process.communicate(timeout=60)
    assert process.returncode == 75 and not (folder / "pid").exists()
    assert (folder / "calls").read_text().count("start") == 1
    assert calls(folder, "scontrol") == ([["requeue", "77"]] if script == "slurm.sbatch" else [])


@pytest.mark.parametrize(("code", "again"), [(75, True), (0, False), (1, False), (143, False)])
def test_a_batch_task_goes_back_into_the_queue_after_75_alone(place, code, again):
    folder, _ = place
    assert run("slurm.sbatch", str(code), place, "distill", "dm", "--dataset", "text:a b") == code
    (step,) = calls(folder, "srun")
    out = f"{folder}/runs/night/seed-3"
    assert step == [
        f"{folder}/docker/entrypoint.sh",
        "launch",
        "distill",
        "dm",
        "--dataset",
        "text:a b",
        "--seed",
        "3",
        "--out",
        out,
    ]
    assert calls(folder, "scontrol") == ([["requeue", "77"]] if again else [])


def test_a_batch_job_without_a_program_is_refused(place):
    assert run("slurm.sbatch", "0", place) == 2 and not calls(place[0], "srun")


def test_the_lines_for_several_nodes_tell_each_node_which_it_is(place):
    folder, _ = place
    text = (REPO / "docker" / "slurm.sbatch").read_text()
    before, after = text.split("# Several nodes")
    lines = after.split("\n\n", 1)
    opened = "\n".join(line.removeprefix("# ").replace("#    ", "    ") for line in lines[0].splitlines()[1:])
    stand_in(folder, "job", f"{before}\n{opened}\n{lines[1]}")
    stand_in(folder, "srun", 'SLURM_NODEID=1 exec "$@"')
    stand_in(folder, "scontrol", "echo first; echo second")
    (folder / "docker").unlink()
    (folder / "docker").mkdir()
    stand_in(folder / "docker", "entrypoint.sh", STAND_IN.replace("docker | srun", "none"))
    environment = {"SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "8", "SLURM_JOB_NODELIST": "n[1-2]"}
    done = subprocess.run([folder / "job", "train", "--net", "a b"], cwd=folder, env={**place[1], **environment})
    assert done.returncode == 0
    (told,) = calls(folder, "entrypoint.sh")
    assert told[0] == "launch" and told[-7:-4] == ["train", "--net", "a b"]
    assert {"--main_process_ip=first", "--machine_rank=1", "--num_machines=2", "--num_processes=16"} <= set(told)


@pytest.mark.parametrize("script", sorted((REPO / "docker").glob("*.s*")), ids=lambda path: path.name)
def test_no_script_under_pipefail_pipes_into_a_reader_that_stops_early(script):
    text = script.read_text()
    assert "pipefail" not in text or not re.search(r"\|\s*(head|grep -\w*q)\b", text)
