"""Networks trained on the whole training set: the baseline of small sets, and teachers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ddcore.data import Examples, Task, Tokens, resized
from ddcore.nets import net_name
from ddcore.options import option
from ddcore.runtime import JSONObject, Session, load_tensors, save_tensors, write_json
from ddcore.training.evaluation import MOST, Cell, evaluate, headline
from ddcore.training.loop import features, predict
from ddcore.training.recipes import quick, recorded, whole_recipe
from ddcore.training.teacher import Teacher

DISTINCT = "whole without test members"
"""The method of the part ``distinct`` in ``scores.json``."""


@dataclass(frozen=True)
class Baseline:
    """How a baseline or a teacher is trained."""

    net: str = option("default", "network by name, 'default' is the data set's; or your own as module:builder")
    part: str = option(
        "all",
        "members to train on. all: every one; distinct: without those that are also test members; fit: without the "
        "validation split (for a teacher)",
        choices=("all", "distinct", "fit"),
    )
    seeds: int = option(1, "number of networks; a teacher of several averages their logits", low=1, high=MOST)
    steps: int | None = option(None, "optimiser steps of a network (default: the profile's)", low=1, high=MOST)
    size: int | None = option(
        None, "pixels per side of the images, for networks to go on to another data set with", low=1, high=MOST
    )

    @property
    def teaches(self) -> bool:
        """Whether the networks become a teacher."""
        return self.part == "fit"

    def task_of(self, task: Task) -> Task:
        """Return the data set at the size that the networks read.

        Raises:
            UsageError: the network is unknown, or the images cannot have this size.
        """
        task = resized(task, self.size) if self.size else task
        net_name(self.net, task)
        return task


def train_baseline(options: Baseline, task: Task, seed: int, session: Session) -> JSONObject:
    """Train and test networks, write their weights, ``scores.json`` and the teacher, and finish the run.

    A teacher is trained outside the validation split and tested on it; its logits and features for every training
    member go to ``teacher.safetensors``. Weights go to ``weights-SEED.safetensors``.

    Args:
        options: how to train.
        task: what `Baseline.task_of` returned.
        seed: of the first network.
        session: the run folder, the processes, profile and progress.

    Returns:
        ``{"protocol", "nets"}`` as in ``scores.json``, the latter as `evaluate` returns it; empty except on the main
        process.

    Raises:
        DDCoreError: a training diverged, or a file cannot be written.
    """
    folder, device, net = session.folder, session.device, net_name(options.net, task)
    test = task.train[task.validation] if options.teaches else task.load_test()
    members = task.train[task.fit] if options.teaches else task.train
    members = members[distinct(members, test)] if options.part == "distinct" else members
    recipe = whole_recipe(task, net, session.profile)
    recipe = replace(recipe, steps=options.steps) if options.steps else recipe
    recipe = quick(recipe) if session.quick else recipe
    seeds = range(seed, seed + options.seeds)
    cells = [Cell(members, options.net, recipe, each, f"{net}-{each}") for each in seeds]

    def keep(cell: Cell, trained: nn.Module) -> None:
        data = json.dumps(task.fingerprint.record())
        save_tensors(folder / f"weights-{cell.seed}.safetensors", dict(trained.state_dict()), {"data": data})
        if options.teaches:
            tensors = {"logits": predict(trained, task, task.train.x, device=device)}
            if hasattr(trained, "features"):
                tensors["features"] = features(trained, task, task.train.x, device=device)
            save_tensors(_outputs(folder, cell), tensors)

    scores = evaluate(cells, task, test, session, keep)
    if not session.main:
        return {}
    if options.teaches:
        outputs = [load_tensors(_outputs(folder, cell))[0] for cell in cells]
        # The mean logits of all networks, and the first one's features.
        logits = torch.stack([each["logits"] for each in outputs]).mean(0)
        Teacher(logits, outputs[0].get("features"), net, folder.name, data=task.fingerprint).save(folder)
    record = {
        "protocol": {
            "dataset": task.name,
            "source": task.source,
            "set": {
                "method": DISTINCT if options.part == "distinct" else "whole",
                "members": len(members),
                "budget": len(members),
                "labels": "hard",
            },
            "labels": "own",
            "recipe": "own",
            "recipes": {options.net: recorded(recipe)},
            "seeds": list(seeds),
            "profile": session.profile,
            "train_members": len(members),
            "test_members": len(test),
            "measure": headline(test.y, len(task.classes)),
            "tested_on": "validation" if options.teaches else "test",
        },
        "nets": scores,
    }
    write_json(folder / "scores.json", record)
    session.finish({"accuracy": scores[options.net]["accuracy"]["mean"]})
    return record


def distinct(examples: Examples, others: Examples) -> Tensor:
    """Return which examples are not among others, whatever their labels: indices ``(N,)`` int64, ascending.

    Texts are the same if all their token ids are, images if all their pixels are.
    """
    known = set(_contents(others))
    return torch.tensor([i for i, each in enumerate(_contents(examples)) if each not in known], dtype=torch.int64)


def _contents(examples: Examples) -> Iterator[bytes]:
    x = examples.x
    return ((x.sequence(i) if isinstance(x, Tokens) else x[i]).numpy().tobytes() for i in range(len(examples)))


def _outputs(folder: Path, cell: Cell) -> Path:
    return folder / "cells" / f"{cell.name}.answers.safetensors"
