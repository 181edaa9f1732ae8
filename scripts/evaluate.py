"""Train fresh networks on a set and test them on the real test set: several networks, several seeds."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor

import stage
from ddcore.data import Task
from ddcore.distilled_set import DistilledSet
from ddcore.errors import DDCoreError, UsageError
from ddcore.evaluation import MORE, Cell, evaluate, recorded
from ddcore.nets import net_name
from ddcore.recipes import recipes_for
from ddcore.runs import write_json
from ddcore.schedule import Schedule
from ddcore.tokens import Tokens
from ddcore.training import Recipe
from ddcore.weights import load_weights

SHOWN = ("accuracy", *MORE)


def options() -> argparse.ArgumentParser:
    made = stage.parser(
        __doc__ or "", "evaluate.py --dataset fashion_mnist --set runs/small --nets default,convnet --out runs/eval"
    )
    made.add_argument("--set", type=Path, required=True,
                      help="folder of a set; a folder of seed-0, seed-1 … pools the sets in it")  # fmt: skip
    made.add_argument("--nets", default="default", help="networks, by name, with commas between (default: default)")
    made.add_argument("--seeds", type=stage.positive, default=1, help="networks of each name, for each set")
    made.add_argument("--recipe", choices=("own", "default"), default="own",
                      help="train as the set says, or as ddcore does for any set of its size")  # fmt: skip
    made.add_argument("--weights", type=Path,
                      help="run folder of train_baseline.py, for a set that begins with trained networks")  # fmt: skip
    made.add_argument("--prefix", type=stage.positive, help="take the first members only, of a set with an order")
    made.add_argument("--labels", choices=("own", "hard"), default="own", help="the set's own, or their hard version")
    return made


def read_sets(path: Path, task: Task) -> list[DistilledSet]:
    """Read the set in a folder, or all sets in its seed-* folders.

    Raises:
        DDCoreError: a set is missing or damaged.
        UsageError: a set was made from another data set.
    """
    if not path.is_dir():
        raise UsageError(f"--set {path} is not a folder")
    folders = [path] if (path / "set.json").exists() else sorted(path.glob("seed-*"))
    if not folders:
        raise DDCoreError(f"{path} is not a distilled set: it holds no set.json and no seed-* folders")
    sets = [DistilledSet.load(folder) for folder in folders]
    for found, folder in zip(sets, folders, strict=True):
        if found.dataset != task.name:
            raise UsageError(f"{folder} was made from {found.dataset}: evaluate it with --dataset {found.dataset}")
    return sets


def recipe_of(found: DistilledSet, net: str, task: Task, profile: str, args: argparse.Namespace) -> Recipe:
    """Return how to train `net` on a set: its own recipe if it has one and it is wanted, else the protocol's."""
    kept = found.recipes.get(net) or found.recipes.get("default")
    if args.recipe == "default" or kept is None:
        return recipes_for(task, len(found), profile, args.quick)[net]
    names = {field.name for field in fields(Recipe)}
    if set(kept) != names:
        raise DDCoreError(f"the recipe in {args.set} has other fields than this ddcore's: use --recipe default")
    return Recipe(**kept)


def weights_for(schedule: Schedule | None, task: Task, args: argparse.Namespace) -> dict[int, Tensor]:
    """Return the trained networks that a set's schedule begins with, one a seed; none where it wants none."""
    if schedule is None or schedule.start != "given":
        return {}
    stage.require(args.weights is not None, f"{args.set} trains networks on: give --weights RUN_DIR with such networks")
    found = load_weights(args.weights, schedule.net, task)
    stage.require(len(found) >= args.seeds, f"{args.weights} holds {len(found)} networks, fewer than --seeds")
    return dict(zip(range(args.seed, args.seed + args.seeds), found, strict=False))


def work(args: argparse.Namespace) -> None:
    accelerator = Accelerator()
    task = stage.open_task(args, accelerator)
    sets = read_sets(args.set, task)
    sets = sets if args.prefix is None else [found.prefix(args.prefix) for found in sets]
    schedule = sets[0].schedule if args.recipe == "own" else None
    wanted = [schedule.net if schedule and asked == "default" else asked for asked in args.nets.split(",")]
    names = {asked: net_name(asked, task) for asked in wanted}
    profile = stage.profile_of(args, accelerator)
    run = stage.open_run(args, accelerator, profile=profile)
    if run.finished:
        return stage.say(accelerator, f"{args.out} is finished")
    recipes = {asked: recipe_of(sets[0], net, task, profile, args) for asked, net in names.items()}
    seeds = range(args.seed, args.seed + args.seeds)
    given = weights_for(schedule, task, args)
    cells = [
        Cell(found.examples(args.labels), asked, recipes[asked], seed, f"{net}-set{number}-{seed}",
             *((found.schedule, given.get(seed)) if schedule is not None and net == schedule.net else ()))
        for asked, net in names.items()
        for number, found in enumerate(sets)
        for seed in seeds
    ]  # fmt: skip
    test = task.load_test()
    bar = stage.progress_bar(accelerator, f"{task.name} {args.set.name}", run)
    scores = evaluate(cells, task, test, args.out, accelerator, bar)
    if not accelerator.is_main_process:
        return
    protocol = {**protocol_of(sets, args), "recipes": recorded(recipes), "seeds": list(seeds), "profile": profile,
                "test_members": len(test), "tested_on": "test", "source": task.source}  # fmt: skip
    write_json(args.out / "scores.json", {"protocol": protocol, "nets": scores})
    run.finish({})
    for net, score in scores.items():
        accuracy = score["accuracy"]
        parts = [f"{100 * score[name]['mean']:.2f} ± {100 * score[name]['std']:.2f} % {name}" for name in SHOWN
                 if name in score]  # fmt: skip
        stage.say(accelerator, f"{args.set.name} on {net}, {accuracy['n']} networks: {', '.join(parts)}")


def protocol_of(sets: list[DistilledSet], args: argparse.Namespace) -> dict[str, Any]:
    """Return what the scores say about the sets and how they were used."""
    found = sets[0]
    tokens = int(found.x.lengths.sum()) if isinstance(found.x, Tokens) else None
    return {
        "dataset": found.dataset,
        "set": {
            "path": str(args.set),
            "sets": len(sets),
            "method": found.method,
            "options": found.options,
            "members": len(found),
            "budget": len(found),
            "labels": found.labels,
            "temperature": found.temperature,
            "kind": found.kind,
        },
        "labels": args.labels,
        "recipe": args.recipe,
        "train_members": len(found),
        "train_tokens": tokens,
        "prefix": args.prefix,
        "schedule": followed(found, args),
    }


def followed(found: DistilledSet, args: argparse.Namespace) -> dict[str, Any] | None:
    """Return what the scores say about the steps that networks took along the set's own schedule."""
    if found.schedule is None or args.recipe != "own":
        return None
    weights = str(args.weights) if found.schedule.start == "given" else None
    return {**found.schedule.record(), "steps": len(found.schedule.rates), "weights": weights}


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("evaluate", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
