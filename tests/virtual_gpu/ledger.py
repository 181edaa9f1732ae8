"""What a virtual GPU counts, and the faults that it finds."""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = tuple(f"{ROOT}/{folder}/" for folder in ("ddcore", "kernels", "scripts"))
Place = tuple[str, str]


@dataclass
class Ledger:
    """Counts by operation and place, a place being the innermost line of the product.

    Attributes:
        launches: operators of PyTorch that launch something, and replays of graphs.
        triton: launches of kernels of our own.
        syncs: places where the host waits for the GPU; copies between host and GPU are among them.
        copies: copies between host and GPU.
        scalars: operations of GPU tensors with a CPU tensor ``()``, which are allowed.
        faults: what would fail or be wrong on a GPU.
    """

    launches: Counter[str] = field(default_factory=Counter)
    triton: Counter[str] = field(default_factory=Counter)
    syncs: Counter[Place] = field(default_factory=Counter)
    copies: Counter[Place] = field(default_factory=Counter)
    scalars: Counter[Place] = field(default_factory=Counter)
    faults: Counter[Place] = field(default_factory=Counter)

    def totals(self) -> dict[str, int]:
        """Return the sums of all counts but the faults."""
        counts = {"launches": self.launches, "triton": self.triton, "syncs": self.syncs, "copies": self.copies}
        return {name: sum(count.values()) for name, count in counts.items()}

    def clear(self) -> None:
        """Begin to count anew; faults stay."""
        for count in (self.launches, self.triton, self.syncs, self.copies, self.scalars):
            count.clear()


def place() -> str:
    """Return the innermost line of the product that is being executed, or that of a test."""
    frame, outer = sys._getframe(1), ""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(PLACES):
            return f"{name.removeprefix(f'{ROOT}/')}:{frame.f_lineno}"
        if not outer and "/tests/" in name and "/virtual_gpu/" in name and "/test_" in name:
            outer = f"{Path(name).name}:{frame.f_lineno}"
        frame = frame.f_back
    return outer or "?"
