"""What a choice of members is worth: the accuracy, on other members, of something briefly trained on it."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ddcore.nets import build_net, solve_ridged
from ddcore.problem import Problem
from ddcore.runtime import collected
from ddcore.selection.features import Blocks
from ddcore.selection.information import principal
from ddcore.selection.scores import member_features
from ddcore.training import Setting, answers, features, small_recipe, train

DIRECTIONS = 256
RIDGE = 0.1


class ClosedForm:
    """Ridge regression on features that need no training: milliseconds for a few hundred members.

    The features of images are a network's that was never trained, those of texts `member_features`.

    Attributes:
        x: ``(M, D)`` float32, the known members' features: the leading principal directions and a constant 1.
        rows: ``(N,)`` int64, each training member's row in `x`; -1 where it is not known.

    Args:
        problem: gives the data set, the seed of the weights and the device.
        members: ``(M,)`` int64, the training members that may be chosen or asked about.
        net: name of the network; not used for texts.
    """

    def __init__(self, problem: Problem, members: Tensor, net: str) -> None:
        task, device = problem.task, problem.device
        if task.kind == "text":
            raw = member_features(problem, "rl-agent").rows(members)
        else:
            built = build_net(net, task, problem.seed, "closed form")
            raw = features(built, task, task.train.x, device=device, members=members)
        x = principal(Blocks.of(raw.to(device)), DIRECTIONS)
        x = x / x.square().mean().sqrt().clamp(min=1e-12)
        self.x = torch.cat([x, torch.ones(len(x), 1, device=device)], 1)
        self.rows = torch.full((len(task.train),), -1, device=device)
        self.rows[members.to(device)] = torch.arange(len(members), device=device)
        self.y = task.train.y.to(device)
        self.classes = len(task.classes)

    def answers(self, chosen: Tensor, members: Tensor) -> Tensor:
        """Return what regressions on choices ``(B, n)`` say about members ``(M,)``: ``(B, M, C)``, labels less 1/C.

        The penalty is `RIDGE` times the mean diagonal of the features' products, so that it grows with n.
        """
        x = self.x[self.rows[chosen]]
        target = one_hot(self.y[chosen], self.classes).float() - 1 / self.classes
        products = x.mT @ x
        diagonal = products.diagonal(dim1=1, dim2=2)
        diagonal += RIDGE * diagonal.mean(1, keepdim=True)
        return self.x[self.rows[members]] @ solve_ridged(products, x.mT @ target)

    def accuracies(self, chosen: Tensor, members: Tensor) -> Tensor:
        """Return the accuracies, fractions, on members ``(M,)`` after each choice ``(B, n)``: ``(B,)`` float64."""
        right = self.answers(chosen, members).argmax(2) == self.y[members]
        return right.double().mean(1).cpu()


class ShortTraining:
    """Networks trained for a number of steps, each from fresh weights.

    Args:
        problem: gives the data set, the device, and the seed of weights and draws; every choice gets the same seed, so
            that choices compare.
        net: name of the network.
        steps: of each training.
        networks: how many the accuracy is averaged over.
        most: members that are asked about, at most.
    """

    def __init__(self, problem: Problem, net: str, steps: int, networks: int, most: int = 5000) -> None:
        self.problem, self.net, self.networks, self.most = problem, net, networks, most
        self.recipe = replace(small_recipe(problem.task, net, "cpu"), steps=steps)

    def accuracies(self, chosen: Tensor, members: Tensor) -> Tensor:
        """Return the mean accuracies, fractions, on members ``(M,)`` after each choice ``(B, n)``: ``(B,)`` float64."""
        return torch.stack([self._accuracy(one.cpu(), members[: self.most].cpu()) for one in chosen])

    def _accuracy(self, chosen: Tensor, members: Tensor) -> Tensor:
        task, seed, device = self.problem.task, self.problem.seed, self.problem.device
        x, y = task.train.x, task.train.y[members]
        right = []
        for k in range(self.networks):
            net = build_net(self.net, task, seed, "short training", k)
            train(net, task, task.train[chosen], self.recipe, Setting(seed + k, device))
            said = answers(net, task, x, device=device, members=members)
            right.append(collected((logits.argmax(1) for _, logits in said), len(y)) == y)
        return torch.stack(right).double().mean()
