"""Train the task's network on the whole training set: the baseline that small sets are measured against.

With --part fit the validation part is left out and the network becomes a teacher: its logits and features for
every training member are kept for selectors, soft labels and distillation.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import stage
from ddcore.data import Task, resized
from ddcore.nets import net_name
from ddcore.runtime import load_tensors, save_tensors, write_json
from ddcore.training import Cell, Teacher, evaluate, features, predict, quick, recorded, whole_recipe


def options() -> argparse.ArgumentParser:
    made = stage.parser(__doc__ or "", "train_baseline.py --dataset fashion_mnist --out runs/baseline")
    made.add_argument(
        "--net", default="default", help="network by name, 'default' is the data set's; or your own as module:builder"
    )
    made.add_argument(
        "--part",
        choices=("all", "fit"),
        default="all",
        help="train on all members, or (teacher) on those outside the validation part",
    )
    made.add_argument(
        "--seeds", type=stage.positive, default=1, help="how many networks; a teacher of several averages their logits"
    )
    made.add_argument("--steps", type=stage.positive, help="optimiser steps of a network (default: the profile's)")
    made.add_argument(
        "--size",
        type=stage.positive,
        help="pixels a side of the images, for networks to go on to another data set with",
    )
    return made


def work(args: argparse.Namespace) -> None:
    accelerator = stage.open_accelerator()
    task = stage.open_task(args, accelerator)
    task = resized(task, args.size) if args.size else task
    net = net_name(args.net, task)
    profile = stage.profile_of(args, accelerator)
    run = stage.open_run(args, accelerator, profile=profile)
    if run.finished:
        return stage.say(accelerator, f"{args.out} is finished")
    teaching = args.part == "fit"
    members = task.train[task.fit] if teaching else task.train
    recipe = whole_recipe(task, net, profile)
    recipe = replace(recipe, steps=args.steps) if args.steps else recipe
    recipe = quick(recipe) if args.quick else recipe
    seeds = range(args.seed, args.seed + args.seeds)
    cells = [Cell(members, args.net, recipe, seed, f"{net}-{seed}") for seed in seeds]

    def keep(cell: Cell, trained: nn.Module) -> None:
        save_tensors(args.out / f"weights-{cell.seed}.safetensors", dict(trained.state_dict()))
        if teaching:
            answers = {"logits": predict(trained, task, task.train.x, device=accelerator.device)}
            if hasattr(trained, "features"):
                answers["features"] = features(trained, task, task.train.x, device=accelerator.device)
            save_tensors(args.out / "cells" / f"{cell.name}.answers.safetensors", answers)

    tested = task.train[task.validation] if teaching else task.load_test()
    bar = stage.progress_bar(accelerator, f"{task.name} {args.part}", run, ahead=True)
    scores = evaluate(cells, task, tested, args.out, accelerator, bar, keep)
    if not accelerator.is_main_process:
        return
    if teaching:
        keep_teacher(task, net, cells, args.out)
    protocol = {
        "dataset": task.name,
        "source": task.source,
        "set": {"method": "whole", "members": len(members), "budget": len(members), "labels": "hard"},
        "labels": "own",
        "recipe": "own",
        "recipes": {args.net: recorded(recipe)},
        "seeds": list(seeds),
        "profile": profile,
        "train_members": len(members),
        "test_members": len(tested),
        "tested_on": "validation" if teaching else "test",
    }
    write_json(args.out / "scores.json", {"protocol": protocol, "nets": scores})
    run.finish({"accuracy": scores[args.net]["accuracy"]["mean"]})
    stage.say(accelerator, f"{task.name} {protocol['tested_on']} {100 * scores[args.net]['accuracy']['mean']:.2f} %")


def keep_teacher(task: Task, net: str, cells: list[Cell], folder: Path) -> None:
    """Write the mean logits of all networks, and the first one's features, as the teacher."""
    answers = [load_tensors(folder / "cells" / f"{cell.name}.answers.safetensors")[0] for cell in cells]
    logits = torch.stack([answer["logits"] for answer in answers]).mean(0)
    Teacher(logits, answers[0].get("features"), net, folder.name).save(folder)


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("train_baseline", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
