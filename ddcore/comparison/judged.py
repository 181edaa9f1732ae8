"""The scores of cells, weighed against random members and the whole training set."""

from dataclasses import asdict

from ddcore.comparison.label_robust import LabelRobust, label_robust
from ddcore.comparison.terms import RANDOM
from ddcore.runtime import JSONObject
from ddcore.training import MEASURES, above


def measured(score: JSONObject, measure: str) -> JSONObject:
    """Return a network's score as a cell keeps it: mean, std, n and values of `measure`, and beside it the others.

    Args:
        score: of `ddcore.training.evaluate`.
        measure: in `MEASURES`; a score that lacks it, of an earlier version, has its accuracy.
    """
    others = {name: score[name] for name in (*MEASURES, "recall") if name in score}
    headline_score: JSONObject = score.get(measure) or score["accuracy"]
    return {**headline_score, **others, "seconds": score["seconds"]}


def with_scores(cells: list[JSONObject], net: str, whole: JSONObject | None) -> list[JSONObject]:
    """Return cells with ``fair`` and ``above_random`` added, by kind of labels, and ``above_controls`` by control.

    ``fair`` are the `LabelRobust` scores. The others say whether the score is above random members', or a control's, by
    more than both spreads. A comparison is left out where the other side has no score.

    Args:
        cells: random members among them.
        net: the network that they are compared on.
        whole: the result of the whole training set, or None.
    """
    random: JSONObject = next((cell["scores"] for cell in cells if cell["title"] == RANDOM), {})
    real = None if whole is None else whole["score"]["mean"]

    def fair(cell: JSONObject, labels: str) -> LabelRobust | None:
        if labels not in random:
            return None
        hard = cell["scores"]["hard"][net]["mean"]
        return label_robust(cell["scores"][labels][net]["mean"], random[labels][net]["mean"], hard, real)

    def robust(cell: JSONObject) -> JSONObject:
        scores = {labels: fair(cell, labels) for labels in cell["scores"]}
        return {labels: asdict(each) for labels, each in scores.items() if each is not None}

    def over(cell: JSONObject, other: JSONObject) -> dict[str, bool]:
        return {each: above(cell["scores"][each][net], other[each][net]) for each in cell["scores"] if each in other}

    scores: dict[str, JSONObject] = {cell["title"]: cell["scores"] for cell in cells}
    return [
        {
            **cell,
            "fair": robust(cell),
            "above_random": over(cell, random if cell["title"] != RANDOM else {}),
            "above_controls": {each: over(cell, scores[each]) for each in cell.get("controls", []) if each in scores},
        }
        for cell in cells
    ]
