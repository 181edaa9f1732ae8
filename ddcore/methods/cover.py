"""Cover: members packed from real clauses, so that their n-grams say what a linear teacher knows."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ddcore.data import SourceTexts, Task, Tokens, clauses, join
from ddcore.draws import generator, permutation
from ddcore.errors import require
from ddcore.nets import LinearRecipe, NgramLinear, ngrams
from ddcore.options import flat, option
from ddcore.problem import Problem
from ddcore.runtime import Progress, Session
from ddcore.sets import SOURCES, DistilledSet, Origin
from ddcore.synthesis import Finished, Method
from ddcore.training import recorded_recipes, train_command

REPORT_CLAUSES = 200


@dataclass(frozen=True)
class Cover(Method):
    """Readable texts: real clauses of reviews with the same label, chosen to cover a linear teacher's evidence.

    The first step of a student that starts at zero moves an n-gram's weight by how much more often it occurs in
    positive than in negative members. So clauses are chosen, one after another, to bring the signed count of every
    n-gram j near a target t_j = emphasis * members * sign(e_j) |e_j|^power, where e_j is what the teacher lets the
    n-gram say; neutral words have to occur equally often. Each choice is the best of a few random candidates,
    by the decrease of Σ_j d_j (count_j - t_j)² for each token, where d_j is the standard deviation of the
    n-gram's presence in the real set. The teacher is an n-gram model trained without the validation part;
    clauses come from the same reviews.

    Source: none for the objective; random candidates as in Mirzasoleiman et al. 2015, "Lazier than lazy greedy".
    """

    name: ClassVar[str] = "cover"
    # It trains its own teacher, because what an n-gram says cannot be read off a teacher's logits.
    kinds: ClassVar[tuple[str, ...]] = ("text",)

    factor: int = field(default=1, init=False, repr=False)
    labels: str = option(
        "hard", "soft keeps the linear teacher's, which are nearly hard for packed clauses", choices=("hard", "soft")
    )
    reviews: int = option(0, "how many of the members are whole reviews instead", low=0)
    emphasis: float = option(0.16, "how often an n-gram should occur for each member and unit of evidence", low=0)
    power: float = option(0.7, "of the evidence: less than 1 spreads the members over weaker words", low=0, high=2)
    strongest: float = option(
        0.1, "choose from this share of all clauses, the ones with the most evidence for their label", low=1e-6, high=1
    )
    candidates: int = option(300, "random clauses that each choice is made from", low=1)
    shortest: int = option(4, "tokens of the shortest clause", low=1)
    longest: int = option(24, "tokens of the longest clause", low=1)
    rarest: int = option(10, "n-grams that fewer reviews hold do not count", low=1)

    def start(self, problem: Problem, session: Session) -> Finished:
        """Return a finished set of members of at most ``task.max_tokens`` tokens.

        Raises:
            UsageError: the classes cannot share the whole reviews, or there is nothing to choose from.
        """
        task, budget = problem.task, problem.budget
        fit = task.train[task.fit].to(problem.device)
        classes, size = len(task.classes), task.max_tokens
        words = Path("runs") / f"{task.name}-words"
        require(
            classes == 2,
            f"cover needs two classes, and {task.name} has {classes}: make word vectors with "
            f"{train_command(task, words, 'bag')} and use dm with --embedding {words}",
        )
        require(
            self.reviews <= budget and not self.reviews % classes,
            f"--reviews {self.reviews} must be at most the budget and shared by {classes} classes",
        )
        require(
            self.shortest <= self.longest <= size,
            f"--longest {self.longest} must lie between --shortest {self.shortest} and {size}",
        )
        model = NgramLinear(classes).to(problem.device)
        model.solve(fit, LinearRecipe())
        texts = fit.x
        assert isinstance(texts, Tokens) and task.tokeniser is not None
        parts, labels, sources = [], [], set[int]()
        packing, chosen = None, torch.empty(0, dtype=torch.int64)
        members = [count - self.reviews // classes for count in problem.counts]
        require(min(members) >= 0, f"--reviews {self.reviews} is more than the members of a class: {problem.counts}")
        if self.reviews < budget:
            packing = Packing(self, model, Reviews(texts, fit.y, task), members, problem.seed)
            x, y = packing.fill(session.progress)
            sources |= packing.sources
            parts.append(x)
            labels.append(y)
        if self.reviews:
            chosen = spread_reviews(model, texts, fit.y, self.reviews // classes, size, problem.seed)
            parts.append(texts[chosen])
            labels.append(fit.y[chosen])
            sources |= set(chosen.tolist())
        x, y = join(parts), torch.cat(labels)
        options = {**flat(self), "budget": budget, "seed": problem.seed}
        provenance = {
            "source": task.source,
            "evidence": "linear, trained without the validation part",
            SOURCES: len(sources),
        }
        written = [] if fit.source is None else _written(fit.source, packing, chosen)
        return Finished(
            DistilledSet(
                kind="tokens",
                x=x.to("cpu"),
                y=y.cpu(),
                origin=Origin.of(task, self.name, options, provenance, written),
                scale=task.scale,
                soft=model(x).cpu() if self.labels == "soft" else None,
                recipes=recorded_recipes(task, budget, session.profile, session.quick),
            )
        )


@dataclass(frozen=True)
class Reviews:
    """The texts that clauses are taken from.

    Attributes:
        x: N of them.
        y: ``(N,)`` int64.
        task: gives the tokeniser, and the longest member.
    """

    x: Tokens
    y: Tensor
    task: Task


class Packing:
    """The greedy choice: what the chosen clauses still lack, and the members as they fill."""

    def __init__(self, cover: Cover, model: NgramLinear, reviews: Reviews, members: list[int], seed: int) -> None:
        self.cover, self.seed, self.size = cover, seed, reviews.task.max_tokens
        assert reviews.task.tokeniser is not None
        self.tokeniser = reviews.task.tokeniser
        every = clauses(reviews.x, self.tokeniser, cover.shortest, cover.longest)
        pieces, y, texts = every.tokens, reviews.y[every.text], len(reviews.y)
        common = model.members >= cover.rarest
        require(
            len(pieces) != 0 and bool(common.any()),
            f"cover finds no clauses of {cover.shortest} to {cover.longest} words, or no words that {cover.rarest} "
            "texts share: change --shortest and --longest, or lower --rarest",
        )
        vocabulary, evidence = model.vocabulary[common], model.evidence()[common]
        sign = 2 * y.float() - 1
        column, row = _known(*ngrams(pieces, model.longest), vocabulary)
        speaks = torch.zeros(len(pieces), device=y.device).index_add_(0, row, evidence[column])
        speaks = sign * speaks / pieces.lengths.sqrt()
        strongest = (
            speaks.argsort(descending=True, stable=True)[: max(1, int(len(pieces) * cover.strongest))].sort().values
        )
        self.clauses, self.y = every[strongest], y[strongest]
        self.pieces = self.clauses.tokens
        place = torch.full((len(pieces),), -1, device=y.device)
        place[strongest] = torch.arange(len(strongest), device=y.device)
        column, row = column[place[row] >= 0], place[row[place[row] >= 0]]
        # One more column, of no weight, fills up the rows.
        self.held = _padded(column, row, len(strongest), len(vocabulary))
        presence = model.members[common].float()
        spread = (presence * (1 - presence / texts)).clamp(min=0).sqrt()
        self.weight = torch.cat([spread, spread.new_zeros(1)])
        target = cover.emphasis * sum(members) * evidence.sign() * evidence.abs() ** cover.power
        self.lack = self.weight * torch.cat([target, target.new_zeros(1)])
        self.groups = [(self.y == c).nonzero().flatten() for c in (0, 1)]
        require(
            min(len(group) for group in self.groups) != 0,
            "cover inside no clauses for one of the classes: raise --strongest or --longest",
        )
        self.filled = [[0] * count for count in members]
        self.chosen: list[list[list[int]]] = [[[] for _ in range(count)] for count in members]

    def fill(self, progress: Progress | None) -> tuple[Tokens, Tensor]:
        """Choose clauses until no member has room for another; return the members and their labels."""
        free = torch.ones(len(self.pieces), dtype=torch.bool)
        lengths = self.pieces.lengths.cpu()
        groups = [group.cpu() for group in self.groups]
        total, turn = sum(map(len, self.filled)) * self.size, 0
        # Thousands of tiny operations: several threads would spend their time waiting for one another.
        with one_thread():
            while open_classes := [
                c for c in (0, 1) if self.size - min(self.filled[c], default=self.size) >= self.cover.shortest
            ]:
                c = min(open_classes, key=lambda k: sum(self.filled[k]))
                left = self.size - min(self.filled[c])
                member = self.filled[c].index(self.size - left)
                fitting = groups[c][free[groups[c]] & (lengths[groups[c]] <= left)]
                if len(fitting) == 0:
                    self.filled[c][member] = self.size
                    continue
                draws = generator(self.seed, "clauses", turn)
                drawn = fitting[torch.randint(len(fitting), (self.cover.candidates,), generator=draws)]
                turn += 1
                best = int(drawn[self._gain(drawn.to(self.y.device), c).argmax().cpu()])
                free[best] = False
                self.chosen[c][member].append(best)
                self.filled[c][member] += int(lengths[best])
                held = self.held[best]
                self.lack.index_add_(0, held, -(2 * c - 1) * self.weight[held])
                if progress is not None and turn % REPORT_CLAUSES == 0:
                    progress(sum(map(sum, self.filled)), total, {"clauses": turn})
        return self._members()

    @property
    def sources(self) -> set[int]:
        """The texts that the chosen clauses come from, by their numbers."""
        chosen = [number for members in self.chosen for numbers in members for number in numbers]
        return set(self.clauses.text.cpu()[chosen].tolist())

    def written(self, texts: Sequence[str]) -> list[str]:
        """Return the members as their clauses stand in the texts, with a blank between two clauses."""
        members = [numbers for members in self.chosen for numbers in members]
        chosen = torch.tensor([number for numbers in members for number in numbers], device=self.y.device)
        parts = iter(self.clauses[chosen].written(texts, self.tokeniser))
        return [" ".join(islice(parts, len(numbers))) for numbers in members]

    def _gain(self, drawn: Tensor, c: int) -> Tensor:
        """Return by how much each candidate lowers half the objective, for each of its tokens."""
        held = self.held[drawn]
        return ((2 * c - 1) * self.lack[held] - self.weight[held] / 2).sum(1) / self.pieces.lengths[drawn]

    def _members(self) -> tuple[Tokens, Tensor]:
        parts, labels, lengths = [], [], []
        for c, members in enumerate(self.chosen):
            for numbers in members:
                part = self.pieces[torch.tensor(numbers, dtype=torch.int64, device=self.y.device)]
                parts.append(part.values)
                lengths.append(len(part.values))
                labels.append(c)
        offsets = torch.tensor([0, *lengths], device=self.y.device).cumsum(0)
        return Tokens(torch.cat(parts), offsets), torch.tensor(labels, device=self.y.device)


def _written(source: SourceTexts, packing: Packing | None, chosen: Tensor) -> list[str]:
    """Return the source texts of the packed members, and of the reviews at the indices `chosen` after them."""
    texts = source.load()
    packed = [] if packing is None else packing.written(texts)
    return [*packed, *(texts[i] for i in chosen.tolist())]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread inside a ``with`` block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def spread_reviews(model: NgramLinear, texts: Tokens, y: Tensor, each: int, longest: int, seed: int) -> Tensor:
    """Return whole reviews of every class, spread over the teacher's scores: indices into `texts`, int64.

    Of each class, those of at most `longest` tokens are ordered by score and cut into `each` parts; one is drawn
    from each part.
    """
    score = model(texts)[:, 1]
    chosen = []
    for c in (0, 1):
        fitting = ((y == c) & (texts.lengths <= longest)).nonzero().flatten()
        require(
            len(fitting) >= each, f"--reviews asks for {each} whole reviews of a class; {len(fitting)} are short enough"
        )
        ordered = fitting[score[fitting].argsort(stable=True)]
        for part, group in enumerate(ordered.tensor_split(each)):
            chosen.append(group[permutation(len(group), seed, "reviews", c, part)[:1].to(y.device)])
    return torch.cat(chosen)


def _known(keys: Tensor, rows: Tensor, vocabulary: Tensor) -> tuple[Tensor, Tensor]:
    """Return column and row of every n-gram that the vocabulary has, as often as it occurs, ordered by row."""
    column = torch.searchsorted(vocabulary, keys).clamp(max=len(vocabulary) - 1)
    inside = vocabulary[column] == keys
    order = rows[inside].argsort(stable=True)
    return column[inside][order], rows[inside][order]


def _padded(column: Tensor, row: Tensor, rows: int, filler: int) -> Tensor:
    """Return the columns of each row side by side, filled up with `filler`: ``(rows, K)`` int64."""
    counts = torch.bincount(row, minlength=rows)
    start = counts.cumsum(0) - counts
    wide = torch.full((rows, max(1, int(counts.max()))), filler, dtype=torch.int64, device=row.device)
    wide[row, torch.arange(len(row), device=row.device) - start[row]] = column
    return wide
