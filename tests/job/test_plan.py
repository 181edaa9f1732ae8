"""The stages of a job, in the order in which they run."""

import pytest

from ddcore.job.plan import Choices, plan
from ddcore.job.table import DIGITS, FASHION_MNIST, IMDB, PARTS


@pytest.mark.parametrize("part", PARTS.values(), ids=list(PARTS))
@pytest.mark.parametrize("seeds", [None, 3])
@pytest.mark.parametrize("quick", [False, True])
def test_every_stage_comes_after_what_it_needs(part, seeds, quick):
    seen = []
    for stage in plan([part], Choices("cpu", quick, 0, seeds), 2):
        assert set(stage.needs) <= set(seen), stage.name
        assert "{" not in " ".join(stage.words) and stage.estimate > 0
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
    assert half.shown()[0] == "scripts/select_subset.py" and "runs/digits/teacher" in half.shown()


def test_more_cores_are_expected_to_be_faster():
    slow, fast = (sum(stage.estimate for stage in plan([FASHION_MNIST], Choices("cpu"), n)) for n in (2, 8))
    assert fast < slow
