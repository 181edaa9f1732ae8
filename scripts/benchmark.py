"""Measure what ddcore claims to be fast and lean at, beside the plain way and the published one."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

import stage
from ddcore.benchmarks.kernels import AGREE as KERNELS_AGREE
from ddcore.benchmarks.kernels import Sizes, bandwidth, disagreement, on_gpu
from ddcore.benchmarks.kernels import cases as ops
from ddcore.benchmarks.kernels import measure as timed
from ddcore.benchmarks.matching import Case as MatchCase
from ddcore.benchmarks.matching import measure as matched
from ddcore.benchmarks.matching import problem, variants
from ddcore.benchmarks.rows import Row, append_rows, row
from ddcore.benchmarks.scaling import Case as ScaleCase
from ddcore.benchmarks.scaling import Gate
from ddcore.benchmarks.scaling import measure as paced
from ddcore.benchmarks.unroll import Case, available_variants, distance, measure
from ddcore.errors import DDCoreError
from ddcore.runtime import bind

QUICK = (Case(4, 3, 10),)
ON_CPU = (Case(32, 20, 100), Case(128, 20, 100), Case(32, 50, 100), Case(64, 20, 100), Case(64, 200, 100))
ON_GPU = tuple(Case(128, length, 100) for length in (10, 60, 200))
MATCH_QUICK = (MatchCase("convnet", 2, 8),)
MATCHED = (MatchCase("convnet", 50, 128), MatchCase("convnet-128", 50, 128))
SCALE_QUICK = (ScaleCase("dm", 2, 8, 4),)
SCALED = (ScaleCase("dm", 50, 128, 8),)
UNITS = {
    "time": "s",
    "estimated-time": "s",
    "memory": "bytes",
    "estimated-memory": "bytes",
    "flops": "flop",
    "operators": "calls",
}
# Compared after a few steps: float32 rounding, which every step amplifies, then stays well below this.
AGREE = 0.002


def options() -> argparse.ArgumentParser:
    made = stage.Parser(description=__doc__, epilog="example: benchmark.py unroll --out results/benchmarks.csv")
    commands = made.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    command = commands.add_parser("unroll", help="one meta-gradient through T inner steps")
    command.add_argument("--quick", action="store_true", help="a tiny case, to see that it works")
    command.add_argument("--rounds", type=stage.positive, default=2, help="processes of each variant, in turn")
    command.add_argument("--repeats", type=stage.positive, default=3, help="meta-gradients in each of them")
    command.add_argument("--case", help="only this one: WIDTH,T,MEMBERS")
    command.add_argument("--variant", help=argparse.SUPPRESS)
    kernels = commands.add_parser("kernels", help="the Triton kernels, on a GPU")
    matching = commands.add_parser("matching", help="an outer step of dm, beside the usual loop over classes")
    matching.add_argument("--quick", action="store_true", help="a tiny case, to see that it works")
    matching.add_argument("--repeats", type=stage.positive, default=5, help="steps of each variant, in turn")
    scaling = commands.add_parser("scaling", help="outer steps a second of connected and of unconnected processes")
    scaling.add_argument("--quick", action="store_true", help="a tiny case and few steps, to see that it works")
    scaling.add_argument("--processes", type=stage.positive, default=2, help="how many (default 2)")
    scaling.add_argument("--steps", type=stage.positive, default=40, help="timed outer steps (default 40)")
    scaling.add_argument("--rounds", type=stage.positive, default=5, help="of all variants, in turn (default 5)")
    scaling.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    for each in (command, kernels, matching, scaling):
        each.add_argument("--out", type=Path, help="CSV file to add the rows to")
        each.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return made


def case_of(text: str) -> Case:
    """Read ``WIDTH,T,MEMBERS``."""
    parts = text.split(",")
    stage.require(
        len(parts) == 3 and all(part.isdecimal() and int(part) for part in parts),
        f"--case {text} is not WIDTH,T,MEMBERS",
    )
    return Case(*map(int, parts))


def work(args: argparse.Namespace) -> None:
    if args.benchmark == "scaling":
        return share(args) if args.work else scaling(args)
    device = Accelerator().device
    {"unroll": unroll, "kernels": kernels, "matching": matching}[args.benchmark](args, device)


def scaling(args: argparse.Namespace) -> None:
    """Measure connected processes beside as many unconnected ones, and one alone."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    count = args.processes
    stage.require(gpus in (0, *range(count, 99)), f"--processes {count} need a GPU each, and here are {gpus}")
    for number, case in enumerate(SCALE_QUICK if args.quick else SCALED):
        found: dict[str, list[dict[str, float]]] = {"one": [], "connected": [], "unconnected": []}
        for _ in range(1 if args.quick else args.rounds):
            found["one"] += at_work(args, number, 1)
            found["connected"] += at_work(args, number, 1, together=count)
            alone = at_work(args, number, count)
            found["unconnected"] += [{"rate": sum(each["rate"] for each in alone)}]
        names = {"one": "one", "connected": f"{count}-connected", "unconnected": f"{count}-unconnected"}
        rows = [
            row("scaling", str(case), names[variant], "rate", "steps/s", [each["rate"] for each in rounds])
            for variant, rounds in found.items()
        ]
        spent = [each["communication"] for each in found["connected"]]
        rows.append(row("scaling", str(case), names["connected"], "communication", "fraction", spent))
        if args.out is not None:
            append_rows(args.out, rows)
        pairs = zip(found["connected"], found["unconnected"], strict=True)
        ratio = statistics.median(ours["rate"] / theirs["rate"] for ours, theirs in pairs)
        one, connected, unconnected, communication = (each.p50 for each in rows)
        print(
            f"{case}: {one:.3g} steps a second by one process, {connected:.3g} by {count} that share the work: "
            f"{ratio:.2f} x the {unconnected:.3g} of {count} unconnected ones, {communication:.1%} of the time in "
            "communication"
        )


def at_work(args: argparse.Namespace, case: int, count: int, together: int = 1) -> list[dict[str, float]]:
    """Return what `count` calls of this program measured at the same time, each shared by `together` processes.

    Each process computes with one thread, on a GPU of its own where there are some.
    """
    launch = (
        []
        if together == 1
        else [
            "-m",
            "accelerate.commands.launch",
            "--multi_gpu",
            "--main_process_port",
            "0",
            "--num_machines",
            "1",
            "--num_processes",
            str(together),
            "--mixed_precision",
            "no",
            "--dynamo_backend",
            "no",
        ]
    )
    place = {} if torch.cuda.is_available() else {"ACCELERATE_USE_CPU": "true"}
    steps = str(2 if args.quick else args.steps)
    quick = ["--quick"] if args.quick else []
    with tempfile.TemporaryDirectory() as home:
        calls = []
        for k in range(count):
            words = [*launch, __file__, "scaling", "--work", f"{case}/{k}/{count}", home, "--steps", steps, *quick]
            gpu = place if together > 1 else {**place, "CUDA_VISIBLE_DEVICES": str(k)}
            calls.append(
                subprocess.Popen(
                    [sys.executable, *words],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env={**os.environ, **gpu, "OMP_NUM_THREADS": "1"},
                )
            )
        said = [call.communicate() for call in calls]
    for call, (_, errors) in zip(calls, said, strict=True):
        if call.returncode:
            raise DDCoreError(f"a process failed: {(errors.strip().splitlines() or ['no reason given'])[-1]}")
    return [json.loads(out.splitlines()[-1]) for out, _ in said]


def share(args: argparse.Namespace) -> None:
    """Do and time one process's part, as `at_work` asks for it."""
    case, number, count = map(int, args.work[0].split("/"))
    home = Path(args.work[1])
    accelerator = stage.open_accelerator()
    if accelerator.num_processes == 1 and accelerator.device.type == "cpu":
        bind(number, count)
    gate = Gate(home / "ready", str(number), count) if accelerator.num_processes == 1 else None
    chosen = (SCALE_QUICK if args.quick else SCALED)[case]
    found = paced(chosen, args.steps, home / f"run-{number}", accelerator, gate)
    if accelerator.is_main_process:
        print(json.dumps(found))


def matching(args: argparse.Namespace, device: torch.device) -> None:
    """Measure an outer step of dm if both variants compute the same gradient."""
    for case in MATCH_QUICK if args.quick else MATCHED:
        right = variants(problem(case, device))
        off = float((right["ddcore"] - right["per-class-loop"]).norm() / right["per-class-loop"].norm())
        if not off < AGREE:
            raise DDCoreError(f"the variants compute different gradients on {case}: {off:.2%} off")
        rows = [
            row("matching", str(case), variant, "time", "s", seconds)
            for variant, seconds in matched(case, args.repeats, device).items()
        ]
        if args.out is not None:
            append_rows(args.out, rows)
        ours, loop = (one.p50 for one in rows)
        print(f"{case}: {ours:.3g} s a step, {ours / loop:.2f} x the loop over classes")


def kernels(args: argparse.Namespace, device: torch.device) -> None:
    """Measure every kernel that computes the right thing; refuse to report one that does not."""
    stage.require(device.type == "cuda", "the kernels are measured on a GPU, and there is none here")
    copying = bandwidth(device, on_gpu)
    print(f"copying moves {copying / 1e9:,.0f} GB/s")
    for case in ops(Sizes(), device):
        off = disagreement(case)
        if not off < KERNELS_AGREE:
            raise DDCoreError(f"{case.name} computes something else than its reference: {off:.1e} off")
        times, floor = timed(case, on_gpu), case.bytes() / copying
        rows = [row("kernels", case.name, variant, "time", "s", seconds) for variant, seconds in times.items()]
        rows += [row("kernels", case.name, "byte-floor", "time", "s", [floor])]
        if args.out is not None:
            append_rows(args.out, rows)
        told = [f"{one.variant} {one.p50 * 1e6:,.0f} us ({floor / one.p50:.0%} of copying)" for one in rows[:-1]]
        print(f"{case.name}: {', '.join(told)}")


def unroll(args: argparse.Namespace, device: torch.device) -> None:
    """Measure every variant of a meta-gradient."""
    if args.variant:
        return print(json.dumps(measure(case_of(args.case), args.variant, args.repeats, device)))
    full = ON_GPU if device.type == "cuda" else ON_CPU
    for case in [case_of(args.case)] if args.case else QUICK if args.quick else full:
        # The stored graph of the longest unroll would need 20 GB.
        variants = ["ddcore"] if case.length == 200 and device.type == "cpu" else available_variants()
        found = measured(case, variants, args)
        check(case, found)
        rows = [
            row(args.benchmark, str(case), variant, metric, UNITS[metric], values)
            for variant, metrics in found.items()
            for metric, values in metrics.items()
            if metric in UNITS
        ]
        if args.out is not None:
            append_rows(args.out, rows)
        show(case, rows)


def measured(case: Case, variants: list[str], args: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Measure every variant in processes of its own, the variants taking turns."""
    found: dict[str, dict[str, list[float]]] = {variant: {} for variant in variants}
    for _ in range(1 if args.quick else args.rounds):
        for variant in variants:
            words = [
                __file__,
                "unroll",
                "--variant",
                variant,
                "--repeats",
                str(1 if args.quick else args.repeats),
                "--case",
                f"{case.width},{case.length},{case.members}",
            ]
            child = subprocess.run([sys.executable, *words], capture_output=True, text=True)
            if child.returncode:
                reason = (child.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise DDCoreError(f"{variant} failed on {case} (exit {child.returncode}): {reason}")
            for metric, values in json.loads(child.stdout.splitlines()[-1]).items():
                found[variant].setdefault(metric, []).extend(values)
    return found


def check(case: Case, found: dict[str, dict[str, list[float]]]) -> None:
    """Refuse to report variants that do not compute the same.

    Raises:
        DDCoreError: two gradients differ by more than `AGREE` of their norm, in any of the processes.
    """
    right = found.get("stored-graph", found["ddcore"])["sketch"]
    for variant, metrics in found.items():
        off = distance(metrics["sketch"], right)
        if not off < AGREE:
            raise DDCoreError(f"{variant} computes another gradient than the stored graph on {case}: {off:.2%} off")


def show(case: Case, rows: list[Row]) -> None:
    """Print the medians, and how they relate to the stored graph's."""
    medians: dict[tuple[str, str], float] = {(one.variant, one.metric): one.p50 for one in rows}
    print(f"\n{case}")
    for one in rows:
        right = medians.get(("stored-graph", one.metric))
        ratio = f"{one.p50 / right:6.2f} x the stored graph" if right else ""
        print(f"  {one.variant:13} {one.metric:17} {_readable(one.p50, one.unit):>12}  {ratio}")


def _readable(value: float, unit: str) -> str:
    scales: dict[str, tuple[float, Any]] = {"bytes": (2**20, "MB"), "flop": (1e9, "GFLOP")}
    factor, name = scales.get(unit, (1, unit))
    return f"{value / factor:,.3g} {name}" if factor == 1 else f"{value / factor:,.0f} {name}"


def main(argv: Sequence[str] | None = None) -> int:
    return stage.run_program("benchmark", options(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
