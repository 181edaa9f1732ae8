import pytest
import torch

from ddcore.runtime import precise


@pytest.fixture(autouse=True)
def gpu():
    """The GPU, in float32; these tests have a process of their own, which no other test has pinned to the CPU."""
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    with precise("ieee"):
        yield torch.device("cuda")
