"""Whether the classes of an imported set stand in the order of the data set: a comparison of mean images."""

import torch
from torch import Tensor

from ddcore.data import Task

MOST = 200
"""Real members per class whose mean is taken: the first ones."""
CLEAR, SURE, APART, ENOUGH = 2.5, 4.0, 2.0, 6
"""When the data set's order agrees, and when another one is meant, in standard deviations of a random order.

Tried on 30 draws of random real members at 1, 2, 6, 10 and 50 per class, in their own order and in a random one. MNIST
and Fashion-MNIST: right in all draws. CIFAR-10: one false warning at 10 per class, and none at the others; up to 2 per
class most orders cannot be told, and a random order is found in 11 of 30 draws at 10 per class and in 29 of 30 at 50.
"""


def order_line(x: Tensor, y: Tensor, task: Task) -> str:
    """Return a line on the class order of imported images.

    Each class of the set is compared with each class of the real training set by the correlation of their mean images,
    after the mean of all classes is taken off. An order is one choice of a real class for each class of the set. Its
    fit is the sum of the correlations, in standard deviations of a random order from the mean of all orders.

    Args:
        x: ``(N, C, H, W)`` uint8 pixels, or floats in the normalisation of the data set.
        y: ``(N,)`` int64.
        task: the data set.
    """
    names, real = task.classes, task.train
    counts = torch.bincount(y, minlength=len(names))
    if not counts.min():
        return "class order: not compared with the real data, because a class has no members"
    chosen = torch.cat([(real.y == number).nonzero().flatten()[:MOST] for number in range(len(names))])
    means = _class_means(task.inputs(real.x[chosen]), real.y[chosen])
    inputs, own = task.inputs(x), torch.arange(len(names))
    alike = _class_means(inputs, y) @ means.T
    best = _best(alike)
    fit, best_fit = _fit(alike, own), _fit(alike, best)
    moved = (best != own).nonzero().flatten()
    asked = moved if len(moved) else own
    twice = int(counts.min()) >= ENOUGH and _same_twice(inputs, y, means, best, asked)
    if (twice and len(moved)) or (best_fit > SURE and best_fit - fit > APART):
        looks = [f"{names[k]} looks like {names[int(best[k])]}" for k in moved.tolist()]
        order = ",".join(names[place] for place in best.tolist())
        return (
            f"warning: the class order contradicts {task.name}: {'; '.join(looks[:3])}{' …' * (len(looks) > 3)}; if "
            f"grid.png shows it, too, give --classes '{order}'"
        )
    if twice or fit > CLEAR:  # of few classes, no order stands out from the random ones
        nearest = int((alike.argmax(1) == own).sum())
        own_class = f"{nearest} of {len(names)} mean images are nearest to their own class"
        return f"class order: as that of {task.name}; {own_class}"
    return f"class order: these {len(y):,} members are too few or too unlike the real ones to tell; look at grid.png"


def _class_means(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean image of each class without the mean of all of them: ``(K, D)`` float32 of length 1."""
    sums = torch.zeros(int(y.max()) + 1, x[0].numel()).index_add_(0, y, x.flatten(1).float())
    means = sums / torch.bincount(y)[:, None]
    return torch.nn.functional.normalize(means - means.mean(0), dim=1)


def _best(alike: Tensor) -> Tensor:
    """Return the order with the largest sum of correlations: ``(K,)`` int64."""
    from scipy.optimize import linear_sum_assignment

    return torch.from_numpy(linear_sum_assignment(-alike.numpy())[1])


def _same_twice(x: Tensor, y: Tensor, means: Tensor, best: Tensor, asked: Tensor) -> bool:
    """Return whether both halves of the members give some classes the same places as all of them do."""
    order = torch.argsort(y, stable=True)
    orders = [_best(_class_means(x[half], y[half]) @ means.T) for half in (order[::2], order[1::2])]
    return all(bool((each[asked] == best[asked]).all()) for each in orders)


def _fit(alike: Tensor, order: Tensor) -> float:
    """Return how well an order fits; see `order_line`.

    Over all permutations of K classes, the sum of one entry per row has the mean sum(alike) / K and the variance
    sum(c²) / (K - 1), where c is `alike` without the means of its rows and columns.
    """
    count = len(alike)
    centred = alike - alike.mean(0) - alike.mean(1, keepdim=True) + alike.mean()
    spread = (centred.square().sum() / (count - 1)).sqrt().clamp_min(1e-12)
    return float((alike.gather(1, order[:, None]).sum() - alike.sum() / count) / spread)
