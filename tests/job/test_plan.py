"""The stages of a job, in the order in which they run."""

import pytest

from ddcore.job import plan as module
from ddcore.job.plan import LAUNCH_SECONDS, Choices, Planned, plan
from ddcore.job.table import DIGITS, FASHION_MNIST, IMDB, PLANS, Output


@pytest.mark.parametrize("each", PLANS.values(), ids=list(PLANS))
@pytest.mark.parametrize("seeds", [None, 3])
@pytest.mark.parametrize("quick", [False, True])
def test_every_stage_comes_after_what_it_needs(each, seeds, quick):
    seen = []
    for stage in plan([each], Choices("cpu", quick, 0, seeds), 2):
        assert set(stage.needs) <= set(seen), stage.name
        assert "{" not in " ".join(stage.command()) and stage.estimate > 0
        seen.append(stage.name)
    assert len(seen) == len(set(seen))


def test_comparisons_run_only_with_seeds():
    short, long = (plan([FASHION_MNIST], Choices("cpu", seeds=seeds), 2) for seeds in (None, 3))
    assert [stage.name for stage in long[: len(short)]] == [stage.name for stage in short]
    assert len(long) == len(short) + len(FASHION_MNIST.comparisons)


def test_seeds_give_folders_and_cost_time():
    one, five = (plan([IMDB], Choices("cpu", seeds=seeds), 2) for seeds in (None, 2))
    half = {stage.name: stage for stage in five}["imdb/half"]
    assert half.folders == tuple(f"imdb/half/seed-{k}" for k in range(5))
    assert {stage.name: stage for stage in one}["imdb/half"].folders == ("imdb/half",)
    assert half.estimate > {stage.name: stage for stage in one}["imdb/half"].estimate


def test_words_name_the_folders_of_other_stages(tmp_path):
    half = {stage.name: stage for stage in plan([DIGITS], Choices("cpu", seed=7), 2)}["digits/half"]
    words = half.arguments(tmp_path)
    assert words[words.index("--teacher") + 1] == str(tmp_path / "digits" / "teacher")
    assert words[words.index("--out") + 1] == str(tmp_path / "digits" / "half")
    assert words[words.index("--seed") + 1] == "7"
    assert half.command()[0] == "scripts/select_subset.py" and "runs/digits/teacher" in half.command()


def test_options_are_rendered_in_the_order_of_the_table():
    options = {
        "nets": ("a", "b"),
        "no_such": 1.5,
        "balanced": False,
        "quick": True,
        "method": "dm",
        "set": Output("x/y"),
    }
    stage = Planned("x/z", "distill", options | {"out": Output("x/z")}, 1, dataset="x", folders=("x/z",), estimate=1)
    line = "scripts/distill.py dm --nets a,b --no-such 1.5 --no-balanced --quick --set runs/x/y --out runs/x/z"
    assert " ".join(stage.command()) == line and stage.needs == ("x/y",)


def test_the_recorded_commands_stay_the_same():
    """Because ``job.json`` of an earlier version recognises finished stages by them."""
    stages = {
        stage.name: " ".join(stage.command()) for stage in plan([FASHION_MNIST, IMDB], Choices("cpu", seeds=3), 2)
    }
    shared = "--dataset fashion_mnist --profile cpu --out runs/fashion_mnist"
    judged = shared.replace("--profile", "--seed 1000 --profile")
    soft = "--labels soft --temperature 4 --teacher runs/fashion_mnist/teacher"
    assert stages["fashion_mnist/half"] == f"scripts/select_subset.py random --budget 30000 {soft} {shared}/half"
    nets = "--nets default,convnet --seeds 3"
    assert stages["fashion_mnist/small-soft"] == (
        f"scripts/evaluate.py --set runs/fashion_mnist/small {nets} {judged}/small-soft"
    )
    assert stages["fashion_mnist/small-start-soft"] == (
        "scripts/evaluate.py --set runs/fashion_mnist/small --members start --teacher runs/fashion_mnist/teacher "
        f"--seeds 3 {judged}/small-start-soft"
    )
    assert stages["imdb/half"] == (
        "scripts/select_subset.py margin --budget 12500 --labels soft --temperature 0.5 --teacher-share 0.5 "
        "--teacher runs/imdb/teacher --seeds 5 --dataset imdb --profile cpu --out runs/imdb/half"
    )
    assert stages["imdb/random-packs"] == (
        "scripts/distill.py cover --candidates 1 --strongest 1 --budget 250 --seeds 3 --dataset imdb --profile cpu "
        "--out runs/imdb/random-packs"
    )


def test_networks_that_judge_share_no_initial_weights_with_a_teacher():
    """A network's first weights follow from its seed: those of teachers, and those that judge, are apart."""
    for stage in plan([FASHION_MNIST, IMDB], Choices("cpu", seed=3, seeds=5), 2):
        judges = stage.program == "evaluate" or stage.options.get("part") == "all"
        assert stage.options["seed"] == (1003 if judges else 3), stage.name


def test_more_cores_are_expected_to_be_faster():
    slow, fast = (sum(stage.estimate for stage in plan([FASHION_MNIST], Choices("cpu"), n)) for n in (2, 8))
    assert fast < slow


def test_estimates_of_a_processor_are_scaled_by_its_speed(toy_plan, monkeypatch):
    def times(*choices, **more) -> list[float]:
        return [stage.estimate - LAUNCH_SECONDS for stage in plan([toy_plan], Choices(*choices, **more), 2)]

    before = [times("cpu"), times("gpu"), times("cpu", quick=True)]
    monkeypatch.setattr(module, "slowness", lambda: 2.5)
    assert times("cpu") == [2.5 * each for each in before[0]]
    assert [times("gpu"), times("cpu", quick=True)] == before[1:]
