"""ZCA whitening, undone: images that were made on whitened data become pixels again."""

from pathlib import Path

import torch
from torch import Tensor

from ddcore.errors import DDCoreError, require
from ddcore.sets.formats.npz_file import load_arrays
from ddcore.sets.formats.torch_file import load, tensor

MEAN, INVERSE = "mean_vector", "transform_inv"


def unwhitened(x: Tensor, path: Path) -> Tensor:
    """Return whitened images on the scale that the whitening was fitted on.

    Args:
        x: ``(N, C, H, W)`` floats.
        path: ``.npz``, or ``.pt`` of a dict, with ``mean_vector`` ``(D,)`` or ``(1, D)`` and ``transform_inv``
            ``(D, D)``, D = C H W: the attributes of kornia's ``ZCAWhitening`` after
            ``fit`` with ``compute_inv=True``. An image is flattened to a row x; the result is
            x transform_inv + mean_vector.

    Returns:
        ``(N, C, H, W)`` float32.

    Raises:
        DDCoreError: the file cannot be read, or holds matrices of another shape or values that are not finite.
    """
    values = load_arrays(path, (MEAN, INVERSE)) if path.suffix.lower() == ".npz" else load(path)
    require(isinstance(values, dict), f"{path} holds no {MEAN} and {INVERSE}", DDCoreError)
    size = x[0].numel()
    parts = []
    for name, shape in ((MEAN, (size,)), (INVERSE, (size, size))):
        require(name in values, f"{path} holds no {name}", DDCoreError)
        part = tensor(values[name], f"{name} in {path}")
        part = part.flatten() if name == MEAN else part
        require(
            tuple(part.shape) == shape and bool(part.isfinite().all()),
            f"{name} in {path} has the shape {tuple(part.shape)}, not {shape}, or is not finite",
            DDCoreError,
        )
        parts.append(part.double())
    mean, inverse = parts
    return torch.cat([(part.flatten(1).double() @ inverse + mean).float() for part in x.split(1000)]).view(x.shape)
