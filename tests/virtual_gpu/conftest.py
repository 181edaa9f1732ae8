import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.virtual_gpu.cases import Ground, image_ground, text_ground
from tests.virtual_gpu.count import write_texts
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


@pytest.fixture(scope="session")
def grounds(tmp_path_factory) -> dict[str, Ground]:
    """Digits and texts, with what methods need, prepared without a fault."""
    with pytest.MonkeyPatch.context() as patch, virtual_gpu() as gpu:
        home = tmp_path_factory.mktemp("virtual")
        patch.setenv("DDCORE_CACHE", str(home / "cache"))
        made = {
            "images": image_ground(home / "images"),
            "texts": text_ground(home / "texts", write_texts(home / "texts.csv")),
        }
        assert not gpu.ledger.faults, gpu.ledger.faults
    return made
