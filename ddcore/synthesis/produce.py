"""A run that makes one set: synthesise or select, add the recipes, write the set with its views, finish."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ddcore.data import Task
from ddcore.runtime import Exchange, Progress, Run
from ddcore.selection import selected_set
from ddcore.sets import DistilledSet, write_views
from ddcore.synthesis.outer_loop import distill, forget_checkpoint
from ddcore.training import Teacher, recorded_recipes

if TYPE_CHECKING:
    from accelerate import Accelerator


def synthesise(
    method: Any,
    name: str,
    task: Task,
    budget: int,
    teacher: Teacher | None,
    run: Run,
    seed: int,
    accelerator: "Accelerator",
    profile: str,
    toy: bool,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> DistilledSet:
    """Distil a set in a run folder, write it there and finish the run.

    The arguments are those of `ddcore.synthesis.outer_loop.distill`; `profile` and `toy` decide on the recipes that
    go with the set. What is raised is the same, too.
    """
    made = distill(method, name, task, budget, teacher, run, seed, accelerator, progress, say)
    made.recipes = made.recipes or recorded_recipes(task, budget, profile, toy)
    _finish(made, task, run, accelerator)
    forget_checkpoint(run)
    return made


def select(
    selector: Any,
    name: str,
    task: Task,
    budget: int,
    labels: str,
    temperature: float,
    teacher: Teacher | None,
    run: Run,
    seed: int,
    accelerator: "Accelerator",
    profile: str,
    toy: bool,
    progress: Progress | None = None,
    teacher_share: float = 1.0,
    pool: Tensor | None = None,
) -> DistilledSet:
    """Select a set in a run folder, write it there and finish the run.

    The arguments are those of `ddcore.selection.selected.selected_set`; `profile` and `toy` decide on the recipes
    that go with the set. What is raised is the same, too.
    """
    made = selected_set(
        selector,
        name,
        task,
        budget,
        labels,
        temperature,
        teacher,
        seed,
        accelerator.device,
        progress,
        teacher_share,
        Exchange(accelerator),
        pool,
    )
    made.recipes = recorded_recipes(task, budget, profile, toy)
    _finish(made, task, run, accelerator)
    return made


def _finish(made: DistilledSet, task: Task, run: Run, accelerator: "Accelerator") -> None:
    if accelerator.is_main_process:
        made.save(run.folder)
        write_views(made, run.folder, task.tokeniser)
    accelerator.wait_for_everyone()
    run.finish({"members": len(made)})
