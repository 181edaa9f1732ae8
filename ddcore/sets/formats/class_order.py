"""Whether the classes of an imported set stand in the order of the data set: a comparison of mean images."""

import torch
from torch import Tensor

from ddcore.data import Task

MOST = 200
"""Real members per class whose mean is taken: the first ones."""
CLEAR, SURE, FEW, MANY, ENOUGH = 2.5, 4.0, 2.0, 1.0, 5
"""When the data set's order agrees, and when another order is meant, in standard deviations of a random order.

Random real members of MNIST, Fashion-MNIST and CIFAR-10, 30 draws each at 1, 2, 10 and 50 per class: where another
order seemed better by more than `FEW`, its fit was below `SURE`; from `ENOUGH` members per class on, none seemed better
by more than 0.6. The data set's own order reaches `CLEAR` in all draws of the first two and, from 10 per class on, of
CIFAR-10.
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
    from scipy.optimize import linear_sum_assignment

    names = task.classes
    counts = torch.bincount(y, minlength=len(names))
    if not counts.min():
        return "class order: not compared with the real data, because a class has no members"
    real = task.train
    chosen = torch.cat([(real.y == number).nonzero().flatten()[:MOST] for number in range(len(names))])
    own, theirs = _class_means(task.inputs(x), y), _class_means(task.inputs(real.x[chosen]), real.y[chosen])
    alike = own @ theirs.T
    _, places = linear_sum_assignment(-alike.numpy())
    best = torch.from_numpy(places)
    fit, best_fit = (_fit(alike, order) for order in (torch.arange(len(names)), best))
    better = best_fit - fit
    if (better > FEW and best_fit > SURE) or (better > MANY and int(counts.min()) >= ENOUGH):
        moved = [f"{names[k]} looks like {names[place]}" for k, place in enumerate(best.tolist()) if k != place]
        order = ",".join(names[place] for place in best.tolist())
        return (
            f"warning: the class order contradicts {task.name}: {'; '.join(moved[:3])}{' …' * (len(moved) > 3)}; if "
            f"grid.png shows it, too, give --classes '{order}'"
        )
    if fit > CLEAR:
        nearest = int((alike.argmax(1) == torch.arange(len(names))).sum())
        return (
            f"class order: as that of {task.name}; {nearest} of {len(names)} mean images are nearest to their own class"
        )
    return f"class order: these {len(y):,} members are too few or too unlike the real ones to tell; look at grid.png"


def _class_means(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean image of each class without the mean of all of them: ``(K, D)`` float32 of length 1."""
    sums = torch.zeros(int(y.max()) + 1, x[0].numel()).index_add_(0, y, x.flatten(1).float())
    means = sums / torch.bincount(y)[:, None]
    return torch.nn.functional.normalize(means - means.mean(0), dim=1)


def _fit(alike: Tensor, order: Tensor) -> float:
    """Return how well an order fits; see `order_line`.

    Over all permutations of K classes, the sum of one entry per row has the mean sum(alike) / K and the variance
    sum(c²) / (K - 1), where c is `alike` without the means of its rows and columns.
    """
    count = len(alike)
    centred = alike - alike.mean(0) - alike.mean(1, keepdim=True) + alike.mean()
    spread = (centred.square().sum() / (count - 1)).sqrt().clamp_min(1e-12)
    return float((alike.gather(1, order[:, None]).sum() - alike.sum() / count) / spread)
