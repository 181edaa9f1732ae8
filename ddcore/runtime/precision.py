"""The precision of convolutions and matrix products on a GPU; a CPU computes in float32 whatever is chosen.

``ieee`` is float32. ``tf32`` keeps 10 of 23 bits of the factors' mantissas, and sums in float32: a GPU's matrix units
do that several times as fast. A meta-gradient through some steps then lies about two percent from that of float32.
``bf16`` is ``tf32``, and the forward passes of networks that are trained or asked run in bfloat16, where PyTorch's
autocast holds that to be safe.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from ddcore.errors import require

PRECISIONS = ("ieee", "tf32", "bf16")
# Programs whose results bfloat16 would coarsen: a set, or what a set is made of.
FINE = ("distill", "select_subset", "train_experts", "train_generator")
_bf16 = [False]


def set_precision(name: str, program: str = "") -> None:
    """Choose one of `PRECISIONS` for this process; this is the only place that does.

    Raises:
        UsageError: the program makes a set, or what a set is made of, and is to do so in bfloat16.
    """
    require(
        name != "bf16" or program not in FINE,
        "--precision bf16 is for teachers and evaluations (train_baseline.py, evaluate.py, compare.py): take tf32",
    )
    # The names of PyTorch 2.9 ("fp32_precision") may not be mixed with these, which its compiler reads.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name != "ieee"
    _bf16[0] = name == "bf16"


def precision() -> str:
    """Return the precision of this process; ``default`` before a choice, which is PyTorch's: tf32 convolutions."""
    if _bf16[0]:
        return "bf16"
    matrices, convolutions = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    return "default" if matrices != convolutions else "tf32" if matrices else "ieee"


@contextmanager
def precise(name: str) -> Iterator[None]:
    """Compute in a precision inside a ``with`` block."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, _bf16[0]
    set_precision(name)
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, _bf16[0] = before


def timed_precisions(device: torch.device) -> tuple[str, ...]:
    """Return the precisions that a benchmark times on a device; it compares gradients in the first of them."""
    return ("ieee", "tf32") if device.type == "cuda" else ("ieee",)


def autocast(device: torch.device | str) -> AbstractContextManager[object]:
    """Return what a network's forward pass runs in: autocast to bfloat16 on a GPU under ``bf16``, or nothing."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16) if _bf16[0] and kind == "cuda" else nullcontext()
