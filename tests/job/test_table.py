"""The table of stages fits the programs and names that it speaks of."""

import importlib

import pytest

from ddcore.job.plan import Choices, plan
from ddcore.job.table import PLANS, Line


@pytest.mark.parametrize("each", PLANS.values(), ids=list(PLANS))
def test_every_line_has_its_stage_and_its_network(each):
    stages = {stage.name: stage for stage in [*each.stages, *each.comparisons]}
    default = {stage.name for stage in each.stages}
    for result in each.results:
        assert result.lines[0].stage in default and not result.lines[0].label
        for line in result.lines:
            assert line.net in stages[line.stage].options.get("nets", ("default",)), (result.name, line)


@pytest.mark.parametrize("each", PLANS.values(), ids=list(PLANS))
def test_the_programs_understand_every_stage(each, tmp_path):
    for quick in (False, True):
        for stage in plan([each], Choices("cpu", quick, 3, 2), 2):
            program = importlib.import_module(stage.program)
            program.options().parse_args(stage.arguments(tmp_path))


def test_goals_in_words():
    assert Line("", "x", over=0.9).goal == "over 90 %"
    assert Line("", "x", loses_under=0.01).goal == "loses under 1 point"
    assert Line("", "x").goal == ""
