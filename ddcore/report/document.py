"""The report as sections of blocks; the HTML page and its Markdown twin are two ways to write the same document."""

from dataclasses import dataclass, field

from ddcore.report.figures import Drawn
from ddcore.report.protocol import device_line, protocol_facts, protocol_line
from ddcore.report.records import Records, Sample
from ddcore.report.tables import Table, changes_table, commands, results_table, summary, unfinished


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Facts:
    """Names with what holds of them."""

    pairs: list[tuple[str, str]]


@dataclass(frozen=True)
class Lines:
    """Lines for a terminal, each with what it is for."""

    pairs: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Picture:
    """A figure or a grid of images, in a file beside the report."""

    drawn: Drawn
    caption: str
    pixels: bool = False


Block = Text | Facts | Lines | Picture | Table | Sample


@dataclass
class Section:
    """A part of the report; `anchor` is its address within the page."""

    anchor: str
    title: str
    blocks: list[Block] = field(default_factory=list)


def sections(records: Records, drawn: dict[str, Drawn]) -> list[Section]:
    """Lay the records out as sections; those without anything to show are left out, or say what was not run."""
    found = [
        Section("summary", "Summary", [*map(Text, summary(records)), Text(device_line(records))]),
        Section("results", "Results", [results_table(records), Text(protocol_line(records)), Text(RESULTS_NOTE)]),
        _drawn("accuracy", "Accuracy against budget", drawn, ACCURACY_NOTE),
        _drawn("training", "Time to train on each set", drawn, TRAINING_NOTE),
        _drawn("stages", "Time and memory of each stage", drawn, STAGES_NOTE),
        _drawn("curves", "Training and outer-loop curves", drawn, CURVES_NOTE),
    ]
    for anchor, title, note in (
        ("prefixes", "Prefixes of ordered sets", PREFIXES_NOTE),
        ("windows", "The meta-gradient under three windows", WINDOWS_NOTE),
    ):
        if anchor in drawn:
            found.append(_drawn(anchor, title, drawn, note))
    if changed := changes_table(records):
        found.append(Section("changes", "What sets did to trained networks", [changed, Text(CHANGES_NOTE)]))
    if open_stages := unfinished(records):
        next(each for each in found if each.anchor == "stages").blocks.append(open_stages)
    grids = [Picture(Drawn(grid["file"], grid["alt"]), grid["title"], pixels=True) for grid in records["grids"]]
    found.append(Section("images", "The small image sets", [*grids] or [Text("No image set was made: not run.")]))
    texts: list[Block] = [*records["samples"]]
    found.append(Section("texts", "Members of the small text sets", texts or [Text("No text set was made: not run.")]))
    found.append(_drawn("confusion", "Confusion matrices", drawn, CONFUSION_NOTE))
    found.append(Section("protocol", "Protocol", [Facts(protocol_facts(records))]))
    found.append(Section("commands", "Commands that repeat each row", [Text(COMMANDS_NOTE), Lines(commands(records))]))
    if records["problems"]:
        found.append(Section("problems", "Files that could not be read", [*map(Text, records["problems"])]))
    return found


def _drawn(anchor: str, title: str, drawn: dict[str, Drawn], caption: str) -> Section:
    block: Block = Picture(drawn[anchor], caption) if anchor in drawn else Text("Nothing was measured: not run.")
    return Section(anchor, title, [block])


RESULTS_NOTE = (
    "Accuracies are percent of the real test set: mean ± standard deviation (number of networks). “Against the "
    "baseline” is in points; networks of equal seed are subtracted from one another. Training is the wall time of one "
    "network; stages is the wall time of all stages that lead to the row: the teacher, making the set, training "
    "and testing all networks; memory is the largest of those stages."
)
ACCURACY_NOTE = (
    "Bars are standard deviations over networks. The right end of each axis is the whole training set. Filled points "
    "are the data set's default network, open diamonds are other networks."
)
TRAINING_NOTE = "Wall time to train one network of the default kind with the recipe that belongs to the set."
STAGES_NOTE = "Wall time includes reading the data; memory is the largest resident set of the stage's main process."
CURVES_NOTE = "Outer-loop steps for distillation, optimiser steps for training. Nothing here reads the test set."
PREFIXES_NOTE = (
    "The line is one set, cut to its first members; the points are sets made at that size. Bars are standard "
    "deviations over networks."
)
WINDOWS_NOTE = (
    "Over the outer steps that were logged: the norm of the images' meta-gradient (mean and standard deviation), its "
    "standard deviation in units of its mean, and the mean cosine between the gradients of two members. The point is "
    "that of Feng et al. 2024: the last window's gradient leaves early steps out, the full one varies most."
)
CHANGES_NOTE = (
    "The networks were trained before, on the data that their folder names, and took the set's steps from there. “None "
    "seen”: evaluate compared them, and none of them was used to make the set. “Turned” is the share of one class's "
    "test members that is taken for the other class, “others lose” the accuracy of all other classes before minus "
    "after. Poisoned sets show the risk of training on sets from strangers."
)
CONFUSION_NOTE = (
    "Percent of each true class (rows), over all networks of the score; left the whole set, right the smallest set. "
    "Empty cells are below 0.05 %."
)
COMMANDS_NOTE = (
    "Run in the project's folder, with DDCORE_DATA naming the folder of the data. “accelerate launch” in place of "
    "“python” spreads a stage over several devices. ./run_all.sh runs all of them."
)
