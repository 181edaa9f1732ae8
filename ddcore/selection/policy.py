"""A policy that draws members without replacement, and learns from what its draws were worth."""

import torch
from torch import Tensor

from ddcore.draws import generator

# So many times likelier, e^2 or 7.4, is a member of the starting ranking at first.
PRIOR = 2.0
MEMORY = 0.9


class Policy:
    """Chances of members to be drawn, part by part: a softmax over ``prior + own + traits · weights``.

    Members are drawn one after the other from what is left of their part (Plackett 1975), which is the same as to take
    the largest logits after Gumbel noise was added (Yellott 1977). Weights and each member's own logit follow the
    policy gradient ``(reward - baseline) ∇ log p(draw)``, with the moving mean of rewards as the baseline.

    Source: Williams 1992. Deviates: the difference is divided by the moving deviation of rewards, and Adam takes
    the steps.

    Args:
        traits: of each part, ``(P, F)`` float32: what is known of its members.
        counts: of each part, how many are drawn.
        first: of each part, ``(P,)`` bool: the members that the prior favours.
        rate: step size of the members' own logits; the weights take a third of it.
        seed: of the draws.
    """

    def __init__(self, traits: list[Tensor], counts: list[int], first: list[Tensor], rate: float, seed: int) -> None:
        self.traits, self.counts, self.seed = traits, counts, seed
        self.weights = traits[0].new_zeros(traits[0].shape[1]).requires_grad_()
        self.own = [(PRIOR * favoured.float()).requires_grad_() for favoured in first]
        groups = [{"params": [self.weights], "lr": rate / 3}, {"params": self.own, "lr": rate}]
        self.optimiser = torch.optim.Adam(groups, betas=(0.9, 0.99))
        self.baseline: float | None = None
        self.variance = 0.0

    def logits(self) -> list[Tensor]:
        """Return the logits of each part: ``(P,)``."""
        return [own + traits @ self.weights for own, traits in zip(self.own, self.traits, strict=True)]

    def draw(self, step: int, draws: int) -> list[Tensor]:
        """Return so many draws of members from each part: ``(draws, count)`` int64 rows, in the order drawn."""
        drawn = []
        for part, (logits, count) in enumerate(zip(self.logits(), self.counts, strict=True)):
            lots = torch.rand(draws, len(logits), generator=generator(self.seed, "policy", step, part))
            gumbel = -(-lots.clamp(1e-7, 1 - 1e-7).log()).log()
            drawn.append((logits.detach() + gumbel.to(logits.device)).topk(count, dim=1).indices)
        return drawn

    def likeliest(self) -> list[Tensor]:
        """Return the members of each part with the largest logits: ``(count,)`` int64 rows."""
        ordered = [logits.detach().argsort(descending=True, stable=True) for logits in self.logits()]
        return [rows[:count] for rows, count in zip(ordered, self.counts, strict=True)]

    def learn(self, drawn: list[Tensor], rewards: Tensor) -> None:
        """Take one step by what the draws ``(draws, count)`` of each part were worth together: ``(draws,)``."""
        mean = float(rewards.mean())
        self.baseline = mean if self.baseline is None else self.baseline
        square = float((rewards - self.baseline).square().mean())
        self.variance = MEMORY * self.variance + (1 - MEMORY) * square if self.variance else square
        advantage = (rewards - self.baseline) / max(self.variance**0.5, 1e-6)
        self.baseline = MEMORY * self.baseline + (1 - MEMORY) * mean
        chance = torch.stack([log_chance(*each) for each in zip(self.logits(), drawn, strict=True)]).sum(0)
        loss = -(advantage.to(chance) * chance).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


def log_chance(logits: Tensor, drawn: Tensor) -> Tensor:
    """Return the log probability of draws without replacement, in their order: ``(B,)``.

    Args:
        logits: ``(P,)`` float32.
        drawn: ``(B, K)`` int64, K different rows each.
    """
    logits = logits - logits.detach().max()
    taken = logits[drawn]
    never = logits.exp().expand(len(drawn), -1).scatter(1, drawn, 0.0).sum(1, keepdim=True)
    # Those left at each draw: never drawn, or drawn now or later. Sums of positive numbers, so nothing cancels.
    left = never + taken.exp().flip(1).cumsum(1).flip(1)
    return (taken - left.clamp(min=1e-30).log()).sum(1)
