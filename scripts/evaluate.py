"""Train fresh networks on a set and test them on the real test set: several networks, several seeds."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

import stage
from ddcore.data import Task, Tokens
from ddcore.nets import net_name
from ddcore.runtime import write_json
from ddcore.sets import DistilledSet, load_sets
from ddcore.training import (
    MORE,
    AnyRecipe,
    Cell,
    evaluate,
    read_recipe,
    recipe_for,
    recorded,
    seen_before,
    shared_schedule,
    weights_by_seed,
)
from ddcore.unroll import Schedule

SHOWN = ("accuracy", *MORE)


def options() -> argparse.ArgumentParser:
    made = stage.parser(
        __doc__ or "", "evaluate.py --dataset fashion_mnist --set runs/small --nets default,convnet --out runs/eval"
    )
    made.add_argument(
        "--set", type=Path, required=True, help="folder of a set; a folder of seed-0, seed-1 … pools the sets in it"
    )
    made.add_argument(
        "--nets", default="default", help="networks, by name or your own as module:builder, with commas between"
    )
    made.add_argument("--seeds", type=stage.positive, default=1, help="networks of each name, for each set")
    made.add_argument(
        "--recipe",
        choices=("own", "default"),
        default="own",
        help="train as the set says, or as ddcore does for any set of its size",
    )
    made.add_argument(
        "--weights", type=Path, help="run folder of train_baseline.py, for a set that begins with trained networks"
    )
    made.add_argument("--prefix", type=stage.positive, help="take the first members only, of a set with an order")
    made.add_argument("--subset", type=stage.positive, help="take so many random members only, as many of each class")
    made.add_argument("--labels", choices=("own", "hard"), default="own", help="the set's own, or their hard version")
    return made


def check_fit(found: DistilledSet, task: Task, place: Path) -> None:
    """Refuse a set whose classes or images are not the task's, as those of a folder of the same name may be."""
    same = found.classes == task.classes
    stage.require(same, f"{place} has the classes {', '.join(found.classes)}; the data have {', '.join(task.classes)}")
    shape = tuple(found.x.shape[1:]) if isinstance(found.x, Tensor) and found.kind == "images" else ()
    stage.require(shape == task.shape, f"{place} has images of shape {shape}; those of the data have {task.shape}")


def recipe_of(found: DistilledSet, net: str, task: Task, profile: str, args: argparse.Namespace) -> AnyRecipe:
    """Return how to train `net` on a set: its own recipe if it has one and it is wanted, else the protocol's."""
    kept = found.recipes.get(net) or found.recipes.get("default")
    if args.recipe == "default" or kept is None:
        return recipe_for(task, net, len(found), profile, args.quick)
    return read_recipe(net, kept)


def weights_for(schedule: Schedule | None, task: Task, args: argparse.Namespace) -> dict[int, Tensor]:
    """Return the trained networks that a set's schedule begins with, by seed; none where it wants none."""
    if schedule is None or schedule.start != "given":
        begun = f"takes {schedule}" if schedule else "is trained on by fresh networks"
        stage.require(args.weights is None, f"leave --weights out: {args.set} {begun}")
        return {}
    stage.require(args.weights is not None, f"{args.set} trains networks on: give --weights RUN_DIR with such networks")
    return weights_by_seed(args.weights, schedule.net, task, range(args.seed, args.seed + args.seeds))


def work(args: argparse.Namespace) -> None:
    accelerator = stage.open_accelerator()
    task = stage.open_task(args, accelerator)
    sets = load_sets(args.set, task.name)
    for found in sets:
        check_fit(found, task, args.set)
    stage.require(not (args.prefix and args.subset), "--prefix and --subset exclude one another")
    if args.prefix:
        sets = [found.prefix(args.prefix) for found in sets]
    elif args.subset:
        sets = [found.subset(args.subset, args.seed) for found in sets]
    schedule = shared_schedule(sets) if args.recipe == "own" else None
    home = schedule or sets[0].embedding
    wanted = [home.net if home and asked == "default" else asked for asked in args.nets.split(",")]
    names = {asked: net_name(asked, task) for asked in wanted}
    profile = stage.profile_of(args, accelerator)
    run = stage.open_run(args, accelerator, profile=profile)
    if run.finished:
        return stage.say(accelerator, f"{args.out} is finished")
    recipes = {asked: recipe_of(sets[0], net, task, profile, args) for asked, net in names.items()}
    seeds = range(args.seed, args.seed + args.seeds)
    given = weights_for(schedule, task, args)
    used = sets[0].provenance.get("networks")
    seen = seen_before(given.values(), Path(used), schedule.net, task) if given and schedule and used else None
    own = [asked for asked, net in names.items() if schedule is not None and net == schedule.net]
    # From known weights every seed gives the same network, and one is enough.
    cells = [
        Cell(
            found.examples(args.labels),
            asked,
            recipes[asked],
            seed,
            f"{net}-set{number}-{seed}",
            *((found.schedule, given.get(seed)) if asked in own else (None, None)),
            found.embedding,
        )
        for asked, net in names.items()
        for number, found in enumerate(sets)
        for seed in (seeds[:1] if asked in own and schedule and schedule.start == "known" else seeds)
    ]
    test = task.load_test()
    bar = stage.progress_bar(accelerator, f"{task.name} {args.set.name}", run, ahead=True)
    scores = evaluate(cells, task, test, args.out, accelerator, bar)
    if not accelerator.is_main_process:
        return
    others = {asked: recipe for asked, recipe in recipes.items() if asked not in own}
    protocol = {
        **protocol_of(sets, schedule, own, seen, args),
        "recipes": {asked: recorded(recipe) for asked, recipe in others.items()},
        "seeds": list(seeds),
        "profile": profile,
        "test_members": len(test),
        "tested_on": "test",
        "source": task.source,
    }
    write_json(args.out / "scores.json", {"protocol": protocol, "nets": scores})
    run.finish({})
    cut = f"first {args.prefix} of " if args.prefix else f"{args.subset} random of " if args.subset else ""
    shown = f"{cut}{args.set.name}"
    for net, score in scores.items():
        accuracy = score["accuracy"]
        parts = [
            f"{100 * score[name]['mean']:.2f} ± {100 * score[name]['std']:.2f} % {name}"
            for name in SHOWN
            if name in score
        ]
        how = f", {schedule}{f', {seen} of which made the set' if seen else ''}" if net in own else ""
        stage.say(accelerator, f"{shown} on {net}{how}, {accuracy['n']} networks: {', '.join(parts)}")


def protocol_of(
    sets: list[DistilledSet], schedule: Schedule | None, nets: list[str], seen: int | None, args: argparse.Namespace
) -> dict[str, Any]:
    """Return what the scores say about the sets, and about the networks that took a set's own steps."""
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
        "subset": args.subset,
        "schedule": schedule
        and {
            **schedule.record(),
            "steps": len(schedule.rates),
            "nets": nets,
            "weights": str(args.weights) if args.weights else None,
            "seen": seen,
        },
    }


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("evaluate", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
