"""What ImageNet-1k costs on GPUs: bytes, traffic and hours, from operation counts and a measured rate."""

from pathlib import Path

import torch

from ddcore.data import Examples, Task
from ddcore.errors import DDCoreError, require
from ddcore.nets import operations
from ddcore.report.markdown import table
from ddcore.report.measurements import measured, origin
from ddcore.report.tables import Table
from ddcore.runtime import in_time

MEMBERS, CLASSES = 1_281_167, 1000
NETS = {64: "convnet-128", 224: "resnet18"}
# GPUs, nodes
MACHINES = {"1 GPU": (1, 1), "8 GPUs": (8, 1), "4 nodes of 8": (32, 4)}
EPOCHS, STEPS, PER_CLASS, DRAWN, REAL = 90, 1000, 10, 100, 128
# Seconds of one core to decode a JPEG of 500x375 pixels and to scale it; cores beside each GPU.
DECODE, CORES = 0.0041, 16
FLOAT = 4


def costs_part(path: Path) -> str:
    """Return a table of the costs of ImageNet-1k at two sides on three kinds of machines.

    Args:
        path: a CSV file of ``benchmark.py unroll``, whose last time in tf32 on a GPU gives the rate.

    Raises:
        DDCoreError: the file is missing, has other columns, or holds no such time.
    """
    rows = [row for row in measured(path, "unroll") if row["variant"] == "ddcore" and "NVIDIA" in row["device"]]
    times = [row for row in rows if row["metric"] == "time" and row["precision"] == "tf32"]
    require(bool(times), f"{path} has no time of 'unroll' in tf32 on a GPU", DDCoreError)
    (flops,) = [float(row["p50"]) for row in rows if row["metric"] == "flops" and row["case"] == times[-1]["case"]][-1:]
    rate = flops / float(times[-1]["p50"])
    head = ("side", "machine", "cache", "decoding, once", "teacher", "`dm`", "pages to read", "sent per step")
    body = [
        (f"{side}x{side}", machine, *cells(side, gpus, nodes, rate))
        for side in NETS
        for machine, (gpus, nodes) in MACHINES.items()
    ]
    case = times[-1]["case"]
    return (
        f"{table(Table(head, body, numbers=tuple(range(2, len(head)))))}\n\n"
        f"The rate is {rate / 1e12:.0f} TFLOP/s for each GPU: a meta-gradient ({case}) in tf32. {origin(times[-1:])}"
    )


def cells(side: int, gpus: int, nodes: int, rate: float) -> tuple[str, ...]:
    """Return the cache's size, the times of decoding, teacher and `dm`, and what a step reads and sends.

    Args:
        side: pixels per side.
        gpus, nodes: of the machine.
        rate: operations per second of a GPU.
    """
    pixels = 3 * side**2
    teacher = 3 * operations(NETS[side], _task(side)) * EPOCHS * MEMBERS / rate / gpus
    # Real members forward; synthetic ones forward, and back to their pixels.
    dm = STEPS * DRAWN * (REAL + 3 * PER_CLASS) * operations("convnet-128", _task(side)) / rate / gpus
    read = STEPS * DRAWN * REAL * pixels / nodes / dm
    # Each process sends the gradients of its own classes' images to all others; within a node over the GPUs' links.
    sent = DRAWN * PER_CLASS * pixels * FLOAT / nodes * (nodes - 1)
    return (
        f"{MEMBERS * pixels / 1e9:,.0f} GB",
        in_time(MEMBERS * DECODE * nodes / CORES / gpus),
        in_time(teacher),
        in_time(dm),
        f"{read / 1e9:.1f} GB/s",
        f"{sent / 1e9:.2f} GB",
    )


def _task(side: int) -> Task:
    """Return the shape of ImageNet-1k, without its images."""
    none = Examples(torch.empty(0, 3, side, side, dtype=torch.uint8), torch.empty(0, dtype=torch.int64))
    names = tuple(str(number) for number in range(CLASSES))
    return Task("imagenet", names, (3, side, side), none, lambda: none, "convnet")
