"""Train experts: networks whose ways through their parameters are recorded, for mtt to lead others along.

They take plain steps of gradient descent on the members outside the validation part.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import stage
from ddcore.nets import net_name
from ddcore.options import add_options, read_options
from ddcore.training import ExpertOptions, train_experts


def options() -> argparse.ArgumentParser:
    made = stage.parser(__doc__ or "", "train_experts.py --dataset fashion_mnist --experts 10 --out runs/experts")
    made.add_argument("--experts", type=stage.positive, default=10, help="how many (default 10)")
    add_options(made, ExpertOptions)
    return made


def work(args: argparse.Namespace) -> None:
    accelerator = stage.open_accelerator()
    task = stage.open_task(args, accelerator)
    how = read_options(args, ExpertOptions)
    net_name(how.net, task)
    stage.require(task.kind == "images", f"experts are for mtt, which does not read {task.kind}")
    if args.quick:
        how = replace(how, points=min(how.points, 4), stride=min(how.stride or 5, 5))
    run = stage.open_run(args, accelerator)
    if run.finished:
        return stage.say(accelerator, f"{args.out} is finished")
    bar = stage.progress_bar(accelerator, f"{task.name} experts", run, ahead=True)
    accuracy = train_experts(how, args.experts, task, args.seed, args.out, accelerator, bar)
    if accelerator.is_main_process:
        mean = sum(accuracy) / len(accuracy)
        run.finish({"experts": len(accuracy), "accuracy": mean})
        stage.say(accelerator, f"{len(accuracy)} experts on {task.name}, validation {100 * mean:.2f} %: {args.out}")


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("train_experts", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
