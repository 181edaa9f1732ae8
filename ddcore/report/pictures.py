"""Pictures of sets for a report: images by class, some of the texts, and confusion matrices."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ddcore.data import load_tokeniser, readable
from ddcore.errors import DDCoreError
from ddcore.report.collect import Collector, Evidence
from ddcore.report.records import Confusion, Grid, Member, Sample, grouped
from ddcore.runtime import file_name, write_atomic
from ddcore.sets import SHOWN_CLASSES, DistilledSet, grid_png, set_folders, tokens_of

LARGEST_SHOWN = 2000
COLUMNS = 30
ROWS_PER_CLASS = 2
TEXTS_SHOWN = 20


def add_pictures(collector: Collector, folder: Path) -> tuple[list[Grid], list[Sample], list[Confusion]]:
    """Draw the small sets of all results into `folder`; return their grids, samples and confusion matrices."""
    grids: list[Grid] = []
    samples: list[Sample] = []
    classes: dict[str, list[str]] = {}
    seen: set[Path] = set()
    for each in collector.evidence:
        place = each.set_folder
        if place is None or place in seen or each.score["members"] > LARGEST_SHOWN:
            continue
        seen.add(place)
        place = next(iter(set_folders(place)), place)
        try:
            distilled = DistilledSet.load(place)
            classes.setdefault(distilled.dataset, list(distilled.classes))
            # The picture shows the whole set, even if the score is of a part of it.
            cut = each.score.get("prefix") or each.score.get("subset")
            title = f"{place.parent.name}/{place.name}" if cut else each.title
            if distilled.kind == "images":
                grids.append(draw_grid(distilled, title, folder, len(grids)))
            else:
                samples.append(text_sample(distilled, title, place / "tokeniser.json"))
        except DDCoreError as error:
            collector.note(error)
    return grids, samples, confusions(collector.evidence, classes)


def draw_grid(distilled: DistilledSet, title: str, folder: Path, number: int) -> Grid:
    """Write a PNG of the images, class by class with the class's name, and return its description."""
    file = f"figures/set-{file_name(distilled.dataset)}-{len(distilled)}{f'-{number}' if number else ''}.png"
    write_atomic(folder / file, grid_png(distilled, COLUMNS, ROWS_PER_CLASS))
    shown = min(int(torch.bincount(distilled.y).max()), COLUMNS * ROWS_PER_CLASS)
    real = "crops of real images" if "crops" in distilled.provenance else "synthetic images"
    kind = "real images, selected" if distilled.indices is not None else real
    caption = f"{title}: {kind} by {distilled.method}"
    classes = len(distilled.classes)
    which = f"each of {classes}" if classes <= SHOWN_CLASSES else f"the first {SHOWN_CLASSES} of {classes:,}"
    alt = f"{caption}; one block of rows for {which} classes, {shown} members shown of each."
    return Grid(dataset=distilled.dataset, file=file, title=caption, alt=alt)


def text_sample(distilled: DistilledSet, title: str, tokeniser: Path) -> Sample:
    """Return some members as readable text, spread over the classes and over the set.

    Raises:
        DDCoreError: the set's tokeniser is missing or damaged.
    """
    reader, x, classes = load_tokeniser(tokeniser), tokens_of(distilled), len(distilled.classes)
    share = -(-TEXTS_SHOWN // classes)
    by_class = [(distilled.y == c).nonzero().flatten() for c in range(classes)]
    spread = [each[torch.linspace(0, len(each) - 1, min(share, len(each))).long()].tolist() for each in by_class]
    chosen = [i for rank in range(share) for each in spread for i in each[rank : rank + 1]][:TEXTS_SHOWN]
    targets = distilled.targets() if distilled.soft is not None else None
    members = []
    for i, text in zip(chosen, readable(reader, x[torch.tensor(chosen)]), strict=True):
        y = int(distilled.y[i])
        probability = None if targets is None else round(float(targets[i, y]), 4)
        members.append(Member(label=distilled.classes[y], probability=probability, words=int(x.lengths[i]), text=text))
    return Sample(dataset=distilled.dataset, title=f"{title}: produced by {distilled.method}", members=members)


def confusions(evidence: Sequence[Evidence], classes: dict[str, list[str]]) -> list[Confusion]:
    """Return, for each data set, the confusion counts of the whole set and of the smallest one."""
    matrices = []
    for dataset, group in grouped((each.score["dataset"], each) for each in evidence).items():
        mine = sorted((each for each in group if each.confusion), key=lambda each: -each.score["members"])
        alike = [each for each in mine if each.score["net"] == mine[0].score["net"]]
        for each in alike[:1] + alike[1:][-1:]:
            counts = each.confusion or []
            names = classes.get(dataset, [])
            names = names if len(names) == len(counts) else [str(c) for c in range(len(counts))]
            matrices.append(Confusion(dataset=dataset, title=each.title, classes=names, counts=counts))
    return matrices
