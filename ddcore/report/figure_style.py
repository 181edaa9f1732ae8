"""The look that all figures share, and the scores that they draw."""

from typing import Any

from ddcore.report.records import Records, Score

INK, QUIET, RULE = "#1f2933", "#66727f", "#d5dbe1"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#8a6d00", "#56B4E9", "#882255", "#44AA99")
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.edgecolor": RULE,
    "axes.labelcolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "text.color": INK,
    "legend.frameon": False,
    "svg.hashsalt": "ddcore",
    "svg.fonttype": "path",
}


def scores_of(records: Records) -> dict[str, list[Score]]:
    """Return the test scores of every data set, each once."""
    found: dict[str, list[Score]] = {}
    for result in records["results"]:
        for row in result["rows"]:
            score = row["score"]
            if score and score["tested_on"] == "test" and score not in found.setdefault(score["dataset"], []):
                found[score["dataset"]].append(score)
    return {name: scores for name, scores in found.items() if scores}


def usual_scores(scores: list[Score]) -> list[Score]:
    """Return the scores of the network that the largest set was trained on, the data set's default."""
    usual = max(scores, key=lambda score: (score["members"], score["asked"] == "default"))["net"]
    return [score for score in scores if score["net"] == usual]


def colours(names: list[str]) -> dict[str, str]:
    """Give every name a colour, in the order of their first appearance."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(dict.fromkeys(names))}
