"""The table of stages fits the programs and names that it speaks of."""

import importlib

import pytest

from ddcore.job.plan import Choices, plan
from ddcore.job.table import PARTS, Line


@pytest.mark.parametrize("part", PARTS.values(), ids=list(PARTS))
def test_every_line_has_its_stage_and_its_network(part):
    stages = {stage.name: stage for stage in [*part.stages, *part.comparisons]}
    default = {stage.name for stage in part.stages}
    for result in part.results:
        assert result.lines[0].stage in default and not result.lines[0].label
        for line in result.lines:
            words = stages[line.stage].words.split()
            nets = words[words.index("--nets") + 1].split(",") if "--nets" in words else ["default"]
            assert line.net in nets, (result.name, line)


@pytest.mark.parametrize("part", PARTS.values(), ids=list(PARTS))
def test_the_programs_understand_every_stage(part, tmp_path):
    for quick in (False, True):
        for stage in plan([part], Choices("cpu", quick, 3, 2), 2):
            program = importlib.import_module(stage.words[0].removesuffix(".py"))
            program.options().parse_args(stage.arguments(tmp_path))


def test_goals_in_words():
    assert Line("", "x", over=0.9).goal == "over 90 %"
    assert Line("", "x", loses_under=0.01).goal == "loses under 1 point"
    assert Line("", "x").goal == ""
