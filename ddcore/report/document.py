"""The report as sections of blocks, from which the HTML page and its Markdown twin are rendered."""

from collections.abc import Sequence
from dataclasses import dataclass

from ddcore.report.figures import REPORT, Data, FigureSpec, Picture, Pictures, figures_of
from ddcore.report.protocol import device_line, protocol_facts, protocol_line
from ddcore.report.records import Records, Sample
from ddcore.report.tables import Table, changes_table, commands, measures_table, results_table, summary


@dataclass(frozen=True)
class Facts:
    """Pairs of a name and a text."""

    pairs: list[tuple[str, str]]


@dataclass(frozen=True)
class Lines:
    """Pairs of a purpose and the command lines for it."""

    pairs: list[tuple[str, list[str]]]


# A text is a paragraph.
Block = str | Facts | Lines | Picture | Table | Sample


@dataclass
class Section:
    """A part of the report; `anchor` is its address within the page."""

    anchor: str
    title: str
    blocks: list[Block]


def sections(records: Records, drawn: Pictures) -> list[Section]:
    """Return the sections of a report; those without content are omitted, or say what did not run."""
    changes, measures = changes_table(records), measures_table(records)
    grids = [Picture(grid["file"], grid["alt"], grid["title"], pixels=True) for grid in records["grids"]]
    parts = [
        Section("summary", "Summary", [*summary(records), device_line(records)]),
        Section("results", "Results", [results_table(records), protocol_line(records), RESULTS_NOTE]),
        Section("measures", "Other measures", [measures, MEASURES_NOTE] if measures else []),
        *figure_sections(REPORT, records, drawn),
        Section("changes", "Effect of sets on trained networks", [changes, CHANGES_NOTE] if changes else []),
        Section("images", "The small image sets", [*grids] or ["No image set: not run."]),
        Section("texts", "Members of the small text sets", [*records["samples"]] or ["No text set: not run."]),
        Section("protocol", "Protocol", [Facts(protocol_facts(records))]),
        Section("commands", "Commands that repeat each row", [COMMANDS_NOTE, Lines(commands(records))]),
        Section("problems", "Left out of this report", [*records["problems"]]),
    ]
    return [part for part in parts if part.blocks]


def figure_sections(page: Sequence[str], data: Data, drawn: Pictures) -> list[Section]:
    """Return one section per figure: the drawn file with its caption, then the figure's table."""
    parts = []
    figures: list[FigureSpec[Data]] = figures_of(page)
    for each in figures:
        if each.anchor in drawn or not each.optional:
            picture, table = drawn.get(each.anchor, "No data: not run."), each.table and each.table(data)
            parts.append(Section(each.anchor, each.title, [picture, table] if table else [picture]))
    return parts


RESULTS_NOTE = (
    "Accuracies are percent of the real test set: mean ± standard deviation (number of networks). “Against baseline” "
    "is in points; networks of equal seed are subtracted from one another. Training is the wall time of one network. "
    "Stages is the wall time of all stages that lead to the row: training the teacher, producing the set, training "
    "and testing all networks; the column “of them” has the part of it for teacher, experts and generator, which other "
    "rows share. Memory is the largest of those stages. Reading: the place of the score among all test scores on "
    "record of that data set, method, number of members, kind of labels and network."
)
MEASURES_NOTE = (
    "Means ± standard deviations over the networks. Balanced accuracy is the mean recall of the classes; it stands for "
    "a score, in place of the accuracy, where the largest test class is over twice the smallest, and the table of "
    "results then names it. Recall is the share of a class's test members that is predicted as such, over all "
    "networks. “Not above random”: the difference to random members of the same number, with the same labels, is at "
    "most the sum of both spreads between networks, or of both spreads between sets."
)
CHANGES_NOTE = (
    "The networks were trained before, on the data in the name of their folder, and then took the set's steps. “None "
    "seen”: none of the tested networks was used to produce the set, which evaluate checked. “Turned” is the share of "
    "one class's test members that is predicted as the other class; “others lose” is the accuracy of all other "
    "classes before minus after. Poisoned sets show the risk of training on sets from strangers."
)
COMMANDS_NOTE = (
    "Run in the project's folder, with DDCORE_DATA set to the folder of the data. “accelerate launch” instead of "
    "“python” uses several devices. ./run_all.sh runs all of them."
)
