"""The plan of a job on one data set that the user names: a known one, or the user's own."""

from dataclasses import replace

from ddcore.data import MAX_TOKENS, NAMES, parse
from ddcore.errors import UsageError, known, require
from ddcore.job.outline import KNOWN, Outline, custom_outline
from ddcore.job.table import (
    FASHION_MNIST,
    IMDB,
    PLANS,
    TEACHER,
    DatasetPlan,
    Line,
    Output,
    Result,
    Seeds,
    Size,
    Stage,
    Value,
)

IMAGES_PER_CLASS, TEXTS_PER_CLASS = 50, 125
# With at least this many texts, the settings chosen on IMDB hold.
ABUNDANT = 10_000
QUICK_MEMBERS, QUICK_BUDGET = 2000, 100
# Epochs, batch size and minimum steps of training on whole sets, see `ddcore.training.recipes.whole_recipe`.
EPOCHS, BATCH, FEWEST_STEPS = 10, 128, 400

BAG, CNN = "bag", "cnn"
# Texts of more than two classes: the linear model and ``cover`` handle only two.
MANY_CLASSES = replace(
    IMDB,
    stages=(
        Stage("teacher", "train_baseline", dict(part="fit"), 1, 10),
        Stage("baseline", "train_baseline", dict(part="all"), 1, 10),
        Stage(
            "half", "select_subset", dict(selector="random", budget=Size.HALF, labels="soft", teacher=TEACHER), 0.2, 20
        ),
        Stage("half-soft", "evaluate", dict(set=Output("half")), 1),
        Stage(
            "small",
            "select_subset",
            dict(selector="random", budget=Size.SMALL, labels="soft", teacher=TEACHER, seeds=Seeds.SETS),
            0.2,
        ),
        Stage("small-soft", "evaluate", dict(set=Output("small"), nets=(BAG, CNN)), 1),
        Stage("small-hard", "evaluate", dict(set=Output("small"), nets=(BAG, CNN), labels="hard"), 1),
    ),
    results=(
        Result("all", (Line("", "baseline"),)),
        Result("half", (Line("", "half-soft"),)),
        Result(
            "small",
            (
                Line("", "small-soft", net=BAG),
                Line("the same members, CNN", "small-soft", net=CNN),
                Line("the same members, hard labels", "small-hard", net=BAG),
                Line("the same members, hard labels, CNN", "small-hard", net=CNN),
            ),
        ),
    ),
    comparisons=(),
)


def plan_for(address: str, budget: int | None) -> DatasetPlan:
    """Return the plan for one data set: the stages of the job's default data sets, without goals.

    A data set with its own plan in `ddcore.job.table` keeps it if `budget` is None.

    Args:
        address: the value of ``--dataset``: a known name, ``images:DIR``, ``text:FILE`` or ``hf:WHERE``.
        budget: total members of the small set; None for 50 images or 125 texts per class, fewer if the classes are
            small.

    Raises:
        UsageError: no data set has this name, the user's own cannot be used as it is, or the budget cannot be shared
            by the classes.
        DDCoreError: a file of the user's own data cannot be read.
    """
    own = parse(address)
    if own is None:
        known("data set", address, NAMES)
        if budget is None and address in PLANS:
            return PLANS[address]
    outline = KNOWN[address] if own is None else custom_outline(own)
    ipc = per_class(outline, budget)
    require(
        outline.smallest > 0,
        f"a class of {outline.title} has no members outside the validation split: add members to the small classes",
    )
    whole = outline.members
    # Classes of equal size share the half equally.
    half = max(1, whole // 2 // outline.classes) * outline.classes if outline.even else whole // 2
    cut = min(whole, QUICK_MEMBERS) // outline.classes * outline.classes
    few = max(1, min(ipc, QUICK_BUDGET // outline.classes, cut // outline.classes // 2))
    model = FASHION_MNIST if outline.kind == "images" else IMDB if outline.classes == 2 else MANY_CLASSES
    sizes = (f"all {whole:,}", f"{half:,}", f"{ipc * outline.classes:,}")
    return DatasetPlan(
        dataset=outline.name,
        title=outline.title,
        members=(whole, half, ipc * outline.classes),
        quick=(cut, max(1, cut // 2 // outline.classes) * outline.classes, few * outline.classes),
        stages=tuple(_adapted(stage, outline) for stage in model.stages),
        results=tuple(
            Result(f"{outline.title}, {size} members", tuple(_without_goal(line, outline) for line in result.lines))
            for size, result in zip(sizes, model.results, strict=True)
        ),
        # Of few texts the half itself is random, so there is no other random half to compare it with.
        comparisons=tuple(
            _adapted(stage, outline)
            for stage in model.comparisons
            if whole >= ABUNDANT or not stage.name.startswith("random-half")
        ),
        address=address,
    )


def per_class(outline: Outline, budget: int | None) -> int:
    """Return the members per class of the small set.

    Raises:
        UsageError: the budget is no multiple of the number of classes, or a class has too few members.
    """
    if budget is None:
        if outline.kind == "images":
            return max(1, min(IMAGES_PER_CLASS, outline.smallest // 5))
        # Packed members are as long as the longest text a network reads; a fifth of all words must suffice for them.
        packed = int(outline.smallest * outline.size / 5 / MAX_TOKENS)
        return max(
            1, min(TEXTS_PER_CLASS, outline.smallest // 10, packed if outline.classes == 2 else outline.smallest)
        )
    ipc, left = divmod(budget, outline.classes)
    if left or ipc == 0:
        near = " or ".join(str(k * outline.classes) for k in (ipc, ipc + 1) if k)
        raise UsageError(f"--budget {budget} is not a multiple of the {outline.classes} classes: take {near}")
    require(
        ipc <= outline.smallest,
        f"--budget {budget} asks for {ipc} members of each class, and the smallest class has {outline.smallest} "
        "outside the validation split: take a smaller budget",
    )
    return ipc


def _adapted(stage: Stage, outline: Outline) -> Stage:
    """Return a stage of Fashion-MNIST or IMDB with the options and the cost it has on other data."""
    options: dict[str, Value] = dict(stage.options)
    if not outline.even and options.get("budget") in (Size.HALF, Size.WHOLE):
        options = {"proportions": "data", **options}
    if outline.kind == "text" and outline.members < ABUNDANT:
        # Of few texts, the hardest alone teach nothing. Seen on a toy run's test score, as the ledger says.
        if options.get("selector") == "margin":
            options["selector"] = "random"
        # Leaves enough clauses and n-grams to choose from.
        if options.get("method") == "cover":
            strongest: dict[str, Value] = {} if "strongest" in options else {"strongest": 0.3}
            options = {**strongest, "rarest": max(2, outline.members // 1000), **options}
    large = outline.members / (60_000 if outline.kind == "images" else 25_000)
    if outline.kind == "images":
        pixels = outline.size / 784
        steps = max(FEWEST_STEPS, EPOCHS * outline.members / BATCH) / (EPOCHS * 60_000 / BATCH)
        minutes = stage.minutes * pixels * (1 if "small" in stage.name else steps)
        large *= pixels
    else:
        minutes = stage.minutes * max(large, 0.2)
    return replace(stage, options=options, minutes=max(0.1, minutes), megabytes=max(1, stage.megabytes * large))


def _without_goal(line: Line, outline: Outline) -> Line:
    label = line.label.replace("60,000", f"{outline.members:,}").replace("25,000", f"{outline.members:,}")
    return replace(line, label=label.replace("reviews", "texts"), over=None, loses_under=None, aim="")
