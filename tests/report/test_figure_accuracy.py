from typing import cast

import matplotlib.pyplot as plt
import pytest

from ddcore.report.figure_accuracy import FAMILIES, _label_left, _tick_labels, point_names
from ddcore.report.names import family
from ddcore.training import Score


def test_budgets_that_lie_close_together_share_a_label() -> None:
    assert _tick_labels([250, 12_500, 24_877, 25_000]) == ["250", "12.5k", "", "25k"]
    assert _tick_labels([600]) == ["600"]


def test_labels_that_would_overlap_are_moved_just_apart() -> None:
    axis = plt.figure().add_subplot()
    axis.set_ylim(0, 100)
    # A line of text is 5.2 high here: the first two would overlap, the third is far from them.
    _label_left(axis, [(30.0, "b\nof two lines"), (29.0, "a"), (60.0, "c")], 600)
    places = {text.get_text()[0]: text.xyann[1] for text in axis.texts}
    plt.close(axis.figure)
    assert places == {"a": 29.0, "b": pytest.approx(29 + 1.5 * 5.2), "c": 60.0}


def test_a_point_of_another_network_has_its_method_beside_it_where_the_network_judged_several_sets() -> None:
    usual = _score("random", "convnet", "hard")
    alone, first, second = _score("dm", "mlp", "hard"), _score("rded", "wide", "crop"), _score("random", "wide", "crop")
    others = [alone, first, second]
    assert point_names([usual, *others], others) == [
        *("random, hard", "mlp, hard", "rded, wide, crop", "random, wide, crop"),
    ]


def _score(method: str, net: str, labels: str) -> Score:
    return cast(Score, {"method": method, "net": net, "labels": labels, "members": 100, "mean": 0.5, "std": 0.01})


@pytest.mark.parametrize("labels", ["hard", "soft", "crop"])
@pytest.mark.parametrize("method", ["whole", "random", "dm"])
def test_every_score_has_a_line_in_the_figure(method: str, labels: str) -> None:
    assert family(_score(method, "convnet", labels), 0) in FAMILIES
    assert family(_score(method, "convnet", labels), 100) in FAMILIES
