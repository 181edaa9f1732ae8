from ddcore.report.figure_training import draw


def score(method, members, labels, spent):
    named = {"dataset": "toy", "asked": "default", "net": "mlp", "tested_on": "test"}
    return {"score": {**named, "method": method, "members": members, "labels": labels, "seconds": spent}}


def test_a_size_is_drawn_once_and_by_the_set_that_was_chosen():
    rows = [score("random", 10, "hard", 3.0), score("dm", 10, "hard", 2.0), score("whole", 1000, "hard", 40.0)]
    figure, fact = draw({"results": [{"rows": rows}]})
    assert fact.endswith("toy: 1,000, hard labels in 40\xa0s, 10, hard labels in 2.0\xa0s (20 times faster).")
    assert [bar.get_width() for bar in figure.axes[0].patches] == [40.0, 2.0]
    assert draw({"results": []}) is None
