"""The plan of a job on one data set that the user names: one that ddcore knows, or the user's own."""

from dataclasses import dataclass, replace

import torch

from ddcore.data import DATASETS, MAX_TOKENS, CustomData, common_size, parse, read_folder, read_table, validation_part
from ddcore.errors import UsageError, known
from ddcore.job.table import FASHION_MNIST, IMDB, PARTS, Line, Part, Result, Stage

IMAGES_PER_CLASS, TEXTS_PER_CLASS = 50, 125
# Of texts: from here on the settings found on IMDB hold.
ABUNDANT = 10_000
QUICK_MEMBERS, QUICK_BUDGET = 2000, 100
# Whole sets are trained on for so many epochs and steps at least, see `ddcore.training.recipes.whole_recipe`.
EPOCHS, BATCH, FEWEST_STEPS = 10, 128, 400


@dataclass(frozen=True)
class Outline:
    """What a plan has to know of a data set.

    Attributes:
        name, title: its name, and the same for a reader.
        kind: ``images`` or ``text``.
        classes: how many.
        members: for training.
        smallest: members of the smallest class outside the validation part.
        even: whether all classes have the same number of members.
        size: pixels of an image, or words of a text in the mean.
        megabytes: to download.
    """

    name: str
    title: str
    kind: str
    classes: int
    members: int
    smallest: int
    even: bool
    size: float
    megabytes: float = 0


KNOWN = {
    row.name: Outline(
        row.name,
        row.title,
        row.kind,
        row.counts.classes,
        row.counts.train,
        row.counts.smallest,
        row.counts.even,
        row.counts.size,
        row.megabytes,
    )
    for row in DATASETS.values()
}

# Texts of more than two classes, which the linear model and ``cover`` do not tell apart.
MANY_CLASSES = replace(
    IMDB,
    stages=(
        Stage("teacher", "train_baseline.py --part fit", 1, 10),
        Stage("baseline", "train_baseline.py --part all", 1, 10),
        Stage("half", "select_subset.py random --budget {half} --labels soft --teacher @teacher", 0.2, 20),
        Stage("half-soft", "evaluate.py --set @half", 1),
        Stage("small", "select_subset.py random --budget {small} --labels soft --teacher @teacher --seeds {sets}", 0.2),
        Stage("small-soft", "evaluate.py --set @small --nets bag,cnn", 1),
        Stage("small-hard", "evaluate.py --set @small --nets bag,cnn --labels hard", 1),
    ),
    results=(
        Result("all", (Line("", "baseline"),)),
        Result("half", (Line("", "half-soft"),)),
        Result(
            "small",
            (
                Line("", "small-soft", net="bag"),
                Line("the same members, CNN", "small-soft", net="cnn"),
                Line("the same members, hard labels", "small-hard", net="bag"),
                Line("the same members, hard labels, CNN", "small-hard", net="cnn"),
            ),
        ),
    ),
    comparisons=(),
)


def part_for(words: str, budget: int | None) -> Part:
    """Return what a job does on the data set of ``--dataset``: the same stages as for the job's own two, no goals.

    A known data set that has its own plan in `ddcore.job.table` keeps it if no budget is given.

    Args:
        words: a known name, ``images:DIR`` or ``text:FILE``.
        budget: members of the small set in all; None for 50 images or 125 texts of each class, fewer where the
            classes are small.

    Raises:
        UsageError: there is no such data set, the user's own cannot be used as it is, or its classes cannot share
            the budget.
        DDCoreError: a file of the user's own data cannot be read.
    """
    own = parse(words)
    if own is None:
        known("data set", words, [*KNOWN, "images:DIR", "text:FILE"])
        if budget is None and words in PARTS:
            return PARTS[words]
    seen = KNOWN[words] if own is None else outlined(own)
    each = per_class(seen, budget)
    whole = seen.members
    cut = min(whole, QUICK_MEMBERS) // seen.classes * seen.classes
    few = max(1, min(each, QUICK_BUDGET // seen.classes, cut // seen.classes // 2))
    model = FASHION_MNIST if seen.kind == "images" else IMDB if seen.classes == 2 else MANY_CLASSES
    titles = (f"all {whole:,}", f"{whole // 2:,}", f"{each * seen.classes:,}")
    return Part(
        dataset=seen.name,
        title=seen.title,
        members=(whole, whole // 2, each * seen.classes),
        quick=(cut, cut // 2, few * seen.classes),
        megabytes=seen.megabytes,
        stages=tuple(_fitted(stage, seen) for stage in model.stages),
        results=tuple(
            Result(f"{seen.title}, {title} members", tuple(_plain(line, seen) for line in result.lines))
            for title, result in zip(titles, model.results, strict=True)
        ),
        # A random half has no other random half to be compared with.
        comparisons=tuple(
            _fitted(stage, seen)
            for stage in model.comparisons
            if seen.members >= ABUNDANT or not stage.name.startswith("random-half")
        ),
        words=words,
    )


def outlined(own: CustomData) -> Outline:
    """Return the outline of a user's own data; images are not decoded, only their heads are read.

    Raises:
        UsageError, DDCoreError: as for `ddcore.data.load_task`.
    """
    if own.kind == "images":
        found = read_folder(own)
        side = int(own.options["side"]) if "side" in own.options else None
        width, height = common_size([*found.train.paths, *found.test.paths], side, own)
        classes, y, size = found.classes, found.train.y, float(width * height)
    else:
        table = read_table(own)
        classes, y = table.classes, table.train.y
        size = sum(len(text.split()) for text in table.train.texts) / len(y)
    counts = torch.bincount(y, minlength=len(classes))
    fit = counts - torch.bincount(y[validation_part(y)], minlength=len(classes))
    even = int(counts.min()) == int(counts.max())
    return Outline(own.name, own.title, own.kind, len(classes), len(y), int(fit.min()), even, size)


def per_class(seen: Outline, budget: int | None) -> int:
    """Return the members of the small set for each class.

    Raises:
        UsageError: the classes cannot share the budget, or one of them has too few members.
    """
    if budget is None:
        if seen.kind == "images":
            return max(1, min(IMAGES_PER_CLASS, seen.smallest // 5))
        # Members are packed to the longest text a network reads: not more of them than a fifth of all words can fill.
        packed = seen.smallest * seen.size / 5 / MAX_TOKENS
        return max(1, min(TEXTS_PER_CLASS, seen.smallest // 10, int(packed) if seen.classes == 2 else seen.smallest))
    each, left = divmod(budget, seen.classes)
    if left or each == 0:
        near = " or ".join(str(k * seen.classes) for k in (each, each + 1) if k)
        raise UsageError(f"--budget {budget} cannot be shared evenly by {seen.classes} classes: take {near}")
    if each > seen.smallest:
        raise UsageError(
            f"--budget {budget} asks for {each} members of each class, and the smallest class has {seen.smallest} "
            "outside the validation part: take a smaller budget"
        )
    return each


def _fitted(stage: Stage, seen: Outline) -> Stage:
    """Return a stage of Fashion-MNIST or IMDB as it is run on other data."""
    words = stage.words
    if not seen.even:
        for size in ("{half}", "{whole}"):
            words = words.replace(f" --budget {size}", f" --no-balanced --budget {size}")
    if seen.kind == "text" and seen.members < ABUNDANT:
        # The hardest texts alone teach nothing where there are few. Seen on a toy run's test score, as the README says.
        words = words.replace("select_subset.py margin", "select_subset.py random")
        # So that enough clauses and n-grams are left to choose from.
        words = words.replace("cover", f"cover --rarest {max(2, seen.members // 1000)}")
        words = words if "--strongest" in words else words.replace("cover", "cover --strongest 0.3")
    large = seen.members / (60_000 if seen.kind == "images" else 25_000)
    if seen.kind == "images":
        pixels = seen.size / 784
        steps = max(FEWEST_STEPS, EPOCHS * seen.members / BATCH) / (EPOCHS * 60_000 / BATCH)
        minutes = stage.minutes * pixels * (1 if "small" in stage.name else steps)
        large *= pixels
    else:
        minutes = stage.minutes * max(large, 0.2)
    return replace(stage, words=words, minutes=max(0.1, minutes), megabytes=max(1, stage.megabytes * large))


def _plain(line: Line, seen: Outline) -> Line:
    """Return a line without its goal."""
    label = line.label.replace("60,000", f"{seen.members:,}").replace("25,000", f"{seen.members:,}")
    return replace(line, label=label.replace("reviews", "texts"), over=None, loses_under=None, aim="")
