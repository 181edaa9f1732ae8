"""How much a member's place among the features tells about its label."""

import numpy as np
import torch
from torch import Tensor

from ddcore.draws import permutation
from ddcore.selection.features import Blocks, unit

MOST = 75_000
"""Members that each one is compared with."""


def local_information(x: Tensor, y: Tensor, neighbours: int) -> Tensor:
    """Return each member's part of the mutual information of features and labels: ``(N,)`` float64, in nats.

    ``i = ψ(N) - ψ(N_y) + ψ(k) - ψ(m)`` for N members, N_y of them in the member's class, and m of them, itself
    included, nearer than the k-th nearest other one of its class. It estimates ``log p(y | x) / p(y)``: at most about
    ``log N / N_y``, where a member lies among its own class, and below 0 where other classes crowd in, as around a
    wrong label. The mean over the members estimates the mutual information.

    Of more than `MOST` members each is compared with `MOST` of them, drawn once: in eight dimensions, to look for near
    members takes a time in proportion to the number of those compared with.

    Args:
        x: ``(N, D)`` features, compared by Euclidean distance.
        y: ``(N,)`` int64 labels.
        neighbours: k, at least 1. A class with fewer other members takes all of them; a class of a single member is
            left out, and the member's part is 0.

    Source: Ross 2014, the terms whose mean is the estimate.
    """
    from sklearn.neighbors import KDTree

    shared = (torch.bincount(y)[y] > 1).nonzero().flatten()
    information = torch.zeros(len(y), dtype=torch.float64)
    if not len(shared):
        return information
    points, labels = x[shared].double().cpu().numpy(), y[shared]
    # Each member is compared with those drawn, and counts as one of them.
    drawn = torch.zeros(len(shared), dtype=torch.bool)
    drawn[permutation(len(shared), "local information")[:MOST]] = True
    added = (~drawn).long()
    size = torch.bincount(labels[drawn], minlength=int(labels.max()) + 1)[labels] + added
    k = (size - 1).clamp(max=neighbours)
    radius = np.zeros(len(shared))
    for label in labels[drawn].unique():
        own, others = (labels == label).numpy(), (drawn & (labels == label)).numpy()
        distance, _ = KDTree(points[others]).query(points[own], k=min(neighbours + 1, int(others.sum())))
        # A member that was drawn is its own nearest; the k-th other one must stay outside.
        place = (k - added)[own].clamp(min=0)[:, None].numpy()
        radius[own] = np.nextafter(np.take_along_axis(distance, place, 1)[:, 0], 0)
    near = torch.from_numpy(KDTree(points[drawn.numpy()]).query_radius(points, radius, count_only=True)) + added
    total = drawn.sum() + added
    terms = _psi(total) - _psi(size) + _psi(k) - _psi(near)
    information[shared] = torch.where(k > 0, terms, 0.0)
    return information


def _psi(x: Tensor) -> Tensor:
    return torch.special.digamma(x.double())


def principal(x: Blocks, dims: int) -> Tensor:
    """Return centred features along their `dims` directions of largest variance: ``(N, dims)``, or all D of them.

    Args:
        x: the features ``(N, D)``, three passes over them.
        dims: how many directions.
    """
    mean = x.mean()
    scatter = torch.zeros(len(mean), len(mean), device=mean.device)
    for _, block in x:
        centred = block - mean
        scatter += centred.T @ centred
    # Of the D x D scatter matrix, for there are many more members than features; eigh sorts from the smallest up.
    directions = torch.linalg.eigh(scatter).eigenvectors.flip(1)[:, :dims]
    return x.each(lambda rows: (rows - mean) @ directions)


def centred(x: Blocks) -> Blocks:
    """Return the features of a class less their mean, scaled to length 1."""
    mean = x.mean()
    return x.changed(lambda rows: unit(rows - mean))
