import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.virtual_gpu.device import VirtualGPU
from tests.virtual_gpu.session import virtual_gpu

if os.environ.get("TRITON_INTERPRET") == "1":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def watched() -> Iterator[VirtualGPU]:
    """A virtual GPU whose faults the test looks at itself."""
    with virtual_gpu() as gpu:
        yield gpu


@pytest.fixture
def gpu(watched: VirtualGPU) -> Iterator[VirtualGPU]:
    """A virtual GPU on which a test may cause no fault."""
    yield watched
    assert not watched.ledger.faults, "\n".join(
        f"{count} x {text}, at {place}" for (text, place), count in watched.ledger.faults.items()
    )
