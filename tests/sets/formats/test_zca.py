import numpy as np
import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.sets.formats.zca import unwhitened


@pytest.fixture
def whitening():
    """A whitening of rows, fitted by its definition, and its inverse, as kornia names them."""
    rows = torch.randn(200, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64) @ torch.diag(
        torch.linspace(0.1, 2, 12, dtype=torch.float64)
    )
    mean = rows.mean(0, keepdim=True)
    values, vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean) / 199)
    matrix = vectors @ torch.diag((values + 0.1).rsqrt()) @ vectors.T
    inverse = vectors @ torch.diag((values + 0.1).sqrt()) @ vectors.T
    return rows.float().view(-1, 3, 2, 2), matrix, {"mean_vector": mean.float(), "transform_inv": inverse.float()}


@pytest.mark.parametrize("suffix", ["pt", "npz"])
def test_whitened_images_come_back(tmp_path, whitening, suffix):
    x, matrix, parts = whitening
    white = ((x.flatten(1) - parts["mean_vector"]).double() @ matrix).float().view(x.shape)
    if suffix == "pt":
        torch.save(parts, tmp_path / "zca.pt")
    else:
        np.savez(tmp_path / "zca.npz", **{name: part.numpy() for name, part in parts.items()})
    assert torch.allclose(unwhitened(white, tmp_path / f"zca.{suffix}"), x, atol=1e-5)


def test_other_matrices_are_refused(tmp_path, whitening):
    x, _, parts = whitening
    for content, line in (
        ({}, "holds no mean_vector"),
        ([1], "holds no mean_vector and transform_inv"),
        ({**parts, "transform_inv": torch.eye(3)}, r"transform_inv in .* has the shape \(3, 3\), not \(12, 12\)"),
        ({**parts, "mean_vector": torch.full((12,), torch.nan)}, "is not finite"),
    ):
        torch.save(content, tmp_path / "zca.pt")
        with pytest.raises(DDCoreError, match=line):
            unwhitened(x, tmp_path / "zca.pt")
