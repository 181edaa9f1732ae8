"""Toy data, and every method at toy length, for tests and for the programs that they start."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ddcore.data.examples import Examples
from ddcore.data.images import image_task
from ddcore.data.task import Task
from ddcore.methods.registry import METHODS
from ddcore.nets.generator import build_generator, save_generator
from ddcore.nets.registry import build_net
from ddcore.options import changed, options_of
from ddcore.problem import Problem
from ddcore.runtime.files import save_tensors
from ddcore.runtime.progress import Progress
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.selection.registry import SELECTORS
from ddcore.selection.selector import Selector
from ddcore.synthesis.contract import Method, Synthesis
from ddcore.training.experts import ExpertOptions, train_experts
from ddcore.training.teacher import Teacher

SHORT = {
    "steps": 4,
    "life": 12,
    "pool": 2,
    "nets": "convnet,mlp",
    "real_batch": 20,
    "validations": 2,
    "validation_networks": 1,
    "validation_steps": 3,
    "batches": 2,
    "epochs": 2,
    "window_steps": 2,
    "blocks": "1,2,4",
    "inner_steps": 3,
    "max_start": 1,
    "ahead": 1,
}
SAVED = "convnet-bn"
"""The network in the folder of the toy teacher."""
ONE_VALIDATION = {"validation_steps": 10, "validations": 1, "validation_networks": 1}
# Selectors whose networks or classes the processes share out.
SHARED_SELECTORS: dict[str, dict[str, Any]] = {
    "el2n": {"net": "mlp", "share": 0.01, "networks": 3},
    "ccs": {"net": "mlp", "share": 0.01, "networks": 3, "strata": 3},
    "margin": {"net": "mlp", "share": 0.01, "folds": 3},
    **{name: {} for name in ("k-means", "herding", "k-center", "mutual-information", "rded")},
}
IMAGE_METHODS = [name for name, cls in METHODS.items() if "images" in cls.kinds]


def striped(n: int, side: int = 8, channels: int = 1, classes: int = 2, noise: int = 60) -> Examples:
    """Images whose class is the place of a bright stripe, with noise: easy to learn, not trivial."""
    draws = torch.Generator().manual_seed(n + side)
    y = torch.arange(n) % classes
    x = torch.randint(0, noise, (n, channels, side, side), generator=draws)
    for i in range(n):
        row = 1 + int(y[i]) * (side - 3) // max(1, classes - 1)
        x[i, :, row : row + 2] += 150
    return Examples(x.to(torch.uint8), y)


def toy_task() -> Task:
    """Two classes, 120 + 40 grey images of 8x8."""
    return image_task("toy", ("low", "high"), striped(120), lambda: striped(40), "made by the tests")


def toy_teacher(toy: Task, folder: Path | None = None, net: str = SAVED) -> Teacher:
    """A teacher whose logits tell the two classes apart; with a folder, the one of `saved_networks`."""
    x = toy.inputs(toy.train.x).flatten(1)
    signal = 4 * (x[:, :32].mean(1) - x[:, 32:].mean(1))
    logits = torch.stack([signal, -signal], 1)
    return Teacher(logits, x, net if folder else "made by hand", "nowhere", folder)


def saved_networks(task: Task, folder: Path, net: str = SAVED, seeds: int = 1) -> Path:
    """Write networks as train_baseline.py does, as they are at the start, and return their folder."""
    for seed in range(seeds):
        save_tensors(folder / f"weights-{seed}.safetensors", dict(build_net(net, task, seed).state_dict()))
    return folder


def prepared(folder: Path) -> None:
    """Write what some methods and selectors need into ``experts``, ``generator`` and ``teacher``."""
    saved_networks(toy_task(), folder / "teacher")
    train_experts(ExpertOptions(points=2, stride=2), 1, toy_task(), 0, Session(Run(folder / "experts")))
    save_generator(build_generator(toy_task(), 4, 4, 0), toy_task(), folder / "generator")


def short_options(name: str, folder: Path, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return a method's options at toy length, by name; what it needs lies in the folder."""
    wanted = {**SHORT, **more, **{each: str(folder / each) for each in ("experts", "generator")}}
    names = {each.name for each in options_of(METHODS[name])}
    return {option: value for option, value in wanted.items() if option in names}


def short_method(name: str, folder: Path, more: Mapping[str, Any]) -> Method:
    """Return a method with its options at toy length; what it needs lies in the folder."""
    return changed(METHODS[name](), short_options(name, folder, more))


def short_selector(name: str) -> Selector:
    """Return a selector with its options at toy length."""
    names = {each.name for each in options_of(SELECTORS[name])}
    options = {"share": 0.02, "net": "mlp", "rounds": 2, "episodes": 8, "judges": 1}
    return changed(SELECTORS[name](), {option: value for option, value in options.items() if option in names})


def problem(task: Task, budget: int, teacher: Teacher | None = None, seed: int = 0) -> Problem:
    """Return what a method is asked for: members outside the validation split, on the CPU."""
    return Problem(task, budget, task.fit, teacher, seed)


def started(method: Method, task: Task, budget: int, teacher: Teacher | None = None, seed: int = 0) -> Any:
    """Return the synthesis that a method starts."""
    synthesis: Synthesis = method.start(problem(task, budget, teacher, seed), Session())
    return synthesis


def session_in(folder: Path, progress: Progress | None = None) -> Session:
    """Return the session of one process in a run folder."""
    return Session(Run.start(folder, "distill", {}), progress=progress)
