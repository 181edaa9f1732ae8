"""Networks trained on the whole training set: the baseline of small sets, and teachers."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ddcore.data import Examples, Task, Tokens, resized
from ddcore.errors import DDCoreError, require
from ddcore.nets import net_name
from ddcore.options import option
from ddcore.runtime import JSONObject, Session, filling, map_tensors, passing, save_tensors, write_json
from ddcore.training.evaluation import MOST, Cell, evaluate, headline
from ddcore.training.loop import answers
from ddcore.training.protocols import DDCORE, PROTOCOLS
from ddcore.training.recipes import quick, recorded, whole_recipe
from ddcore.training.teacher import Teacher
from ddcore.training.top_logits import DENSE

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
    folder, net = session.folder, net_name(options.net, task)
    test = task.train[task.validation] if options.teaches else task.load_test()
    members = {"all": None, "distinct": None, "fit": task.fit}[options.part]
    members = distinct(task.train, test) if options.part == "distinct" else members
    count = len(task.train) if members is None else len(members)
    recipe = whole_recipe(task, net, session.profile)
    recipe = replace(recipe, steps=options.steps) if options.steps else recipe
    recipe = quick(recipe) if session.quick else recipe
    seeds = range(seed, seed + options.seeds)
    cells = [Cell(task.train, options.net, recipe, each, f"{net}-{each}", members=members) for each in seeds]

    def keep(cell: Cell, trained: nn.Module) -> None:
        data = json.dumps(task.fingerprint.record())
        save_tensors(folder / f"weights-{cell.seed}.safetensors", dict(trained.state_dict()), {"data": data})
        if options.teaches:
            save_answers(_answers(folder, cell), trained, task, session)

    scores = evaluate(cells, task, test, session, keep)
    if not session.main:
        return {}
    if options.teaches:
        first, *others = (map_tensors(_answers(folder, cell))[0] for cell in cells)
        # The mean logits of all networks, and the first one's features.
        teacher = Teacher(first["logits"], first.get("features"), net, folder.name, data=task.fingerprint)
        teacher = replace(teacher, scale=task.scale if task.kind == "images" else None)
        teacher.save(folder, [each["logits"] for each in others])
    record = {
        "protocol": {
            "dataset": task.name,
            "source": task.source,
            "set": {
                "method": DISTINCT if options.part == "distinct" else "whole",
                "members": count,
                "budget": count,
                "labels": "hard",
            },
            "labels": "own",
            "evaluation": PROTOCOLS[DDCORE].record(),
            "recipes": {options.net: recorded(recipe)},
            "seeds": list(seeds),
            "profile": session.profile,
            "train_members": count,
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
    """Give a digest of the content of each member."""
    x = examples.x
    rows = ((x.sequence(i) if isinstance(x, Tokens) else x[i]).contiguous() for i in range(len(examples)))
    return (hashlib.blake2b(each.numpy().data, digest_size=16).digest() for each in rows)


def save_answers(path: Path, net: nn.Module, task: Task, session: Session) -> None:
    """Write a network's logits and features for all training members, batch by batch.

    Logits are float32 up to `DENSE` classes, otherwise logarithms of probabilities in half precision. Features are
    in half precision.

    Raises:
        DDCoreError: the folder cannot be written, the disk has no room for the file, or an answer is not finite.
    """
    x, device, classes = task.train.x, session.device, len(task.classes)
    methods = {"logits": "", **({"features": "features"} if hasattr(net, "features") else {})}
    one = {
        name: next(answers(net, task, x, device=device, members=torch.arange(1), method=method))[1]
        for name, method in methods.items()
    }
    dtypes = {"logits": torch.float32 if classes <= DENSE else torch.float16, "features": torch.float16}
    forms = {name: (dtypes[name], (len(task.train), each.shape[1])) for name, each in one.items()}
    with filling(path, forms, {}) as file:
        for name, method in methods.items():
            begin = 0
            said = (part for _, part in answers(net, task, x, device=device, method=method))
            for part in passing(said, len(task.train), session, name):
                rows = part.log_softmax(1) if (name, classes > DENSE) == ("logits", True) else part
                values = rows.to(dtypes[name])
                sound = bool(values.isfinite().all())
                require(sound, f"the training diverged: the network's {name} are no finite numbers", DDCoreError)
                file[name][begin : begin + len(rows)] = values
                begin += len(rows)


def _answers(folder: Path, cell: Cell) -> Path:
    return folder / "cells" / f"{cell.name}.answers.safetensors"
