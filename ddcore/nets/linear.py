"""A linear model on n-grams weighted by naive Bayes: accurate on whole texts, and fast."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ddcore.data import Examples, Tokens
from ddcore.errors import UsageError, require
from ddcore.nets.ngrams import BASE, known_presence, ngrams, presence
from ddcore.nets.squared_hinge import Entries, fit_squared_hinge

TOLERANCE = 0.01


@dataclass(frozen=True)
class LinearRecipe:
    """How to fit the n-gram model.

    Attributes:
        steps: maximum number of L-BFGS steps.
        ngrams: longest n-gram, 1 to 3.
        min_members: n-grams in fewer members are dropped.
        ratio_power: power of the naive Bayes ratio.
        intercept: whether to fit a constant.
        strength: weight of the loss against the regularisation.
    """

    steps: int = 80
    ngrams: int = 3
    min_members: int = 2
    ratio_power: float = 1.0
    intercept: bool = True
    strength: float = 1.0


class NgramLinear(nn.Module):
    """Two-class linear model: z = bias + Σ_j w_j r_j x_j / |r x|, over the n-grams j of a text (x_j = 1).

    ``r_j`` is the log ratio of the n-gram's frequency among positive and negative members (one added to each count),
    raised to a power with its sign unchanged; w and bias minimise the L2-regularised squared hinge loss.
    The logits are (-z, z), so that their softmax, near z = 0, is the probability (1 + z) / 2 that the loss fits.

    Source: Wang and Manning 2012; n-grams up to three and row normalisation as in Mesnil et al. 2014.
    Deviates: L-BFGS, soft labels (fractional counts, both sides of the hinge weighted), no interpolation.
    """

    # `training.predict` then passes whole `Tokens`: the model has no maximum text length.
    reads_tokens = True

    vocabulary: Tensor
    ratio: Tensor
    weight: Tensor
    bias: Tensor
    members: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        require(classes == 2, f"network 'linear' supports two classes, not {classes}: use 'bag' or 'cnn'")
        self.longest = 1
        for name in ("vocabulary", "members"):
            self.register_buffer(name, torch.zeros(1, dtype=torch.int64))
        for name in ("ratio", "weight"):
            self.register_buffer(name, torch.zeros(1))
        self.register_buffer("bias", torch.zeros(()))

    def solve(self, examples: Examples, recipe: LinearRecipe) -> None:
        """Fit n-grams, ratios and weights to the examples, without random draws.

        Args:
            examples: `Tokens` with hard or soft labels.
            recipe: how to fit them.

        Raises:
            UsageError: the examples are not tokens, or an id is not below `BASE`.
        """
        x, count = examples.x, len(examples)
        if not isinstance(x, Tokens):
            raise UsageError("network 'linear' reads words, not images or word vectors: use bag for such texts")
        require(
            not len(x.values) or int(x.values.max()) < BASE,
            f"network 'linear' reads ids below {BASE}; the tokeniser's are larger",
        )
        soft = examples.soft
        p = examples.y.float() if soft is None else (soft / examples.temperature).softmax(1)[:, 1]
        vocabulary, column, row = presence(*ngrams(x, recipe.ngrams), count)
        members = torch.bincount(column, minlength=len(vocabulary))
        frequent = members >= recipe.min_members
        place = frequent.cumsum(0) - 1
        column, row = place[column[frequent[column]]], row[frequent[column]]
        self.longest, self.vocabulary = recipe.ngrams, vocabulary[frequent]
        self.members = members[frequent]
        self.ratio = _log_ratio(row, column, p, len(self.vocabulary), recipe.ratio_power)
        entries = Entries(row, column, _rows_scaled(self.ratio[column], row, count), len(self.vocabulary))
        self.weight, self.bias = fit_squared_hinge(
            entries, p, recipe.strength, recipe.steps, TOLERANCE, recipe.intercept
        )

    def forward(self, x: Tokens) -> Tensor:
        """Return logits ``(N, 2)`` float32."""
        column, row = known_presence(*ngrams(x, self.longest), self.vocabulary)
        value = _rows_scaled(self.ratio[column], row, len(x)) * self.weight[column]
        z = torch.zeros(len(x), device=x.device).index_add_(0, row, value) + self.bias
        return torch.stack([-z, z], 1)

    def evidence(self) -> Tensor:
        """Return each n-gram's contribution to z before the text's normalisation: ``(F,)`` float32."""
        return self.ratio * self.weight


def _log_ratio(row: Tensor, column: Tensor, p: Tensor, features: int, power: float) -> Tensor:
    """Return the naive Bayes log ratio of each column, ``sign |.|^power``: ``(F,)`` float32."""
    positive = torch.bincount(column, weights=p[row].double(), minlength=features) + 1
    negative = torch.bincount(column, weights=(1 - p)[row].double(), minlength=features) + 1
    ratio = (positive / positive.sum()).log() - (negative / negative.sum()).log()
    return (ratio.sign() * ratio.abs() ** power).float()


def _rows_scaled(value: Tensor, row: Tensor, rows: int) -> Tensor:
    """Return the values scaled so that each row of the matrix has norm 1."""
    square = torch.zeros(rows, device=value.device).index_add_(0, row, value.square())
    return value * square.clamp(min=1e-12).rsqrt()[row]
