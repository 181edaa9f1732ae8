from ddcore.report.figure_confusion import draw


def test_shares_are_those_of_a_true_class():
    counts = [[8, 2, 0], [5, 15, 0], [0, 0, 0]]
    one = {"dataset": "toy", "title": "whole set", "classes": ["cat", "dog", "eel"], "counts": counts}
    figure, fact = draw({"confusions": [one]})
    assert fact.endswith("whole set: most often dog is taken for cat (25.0 %).")
    axes = [axis for part in figure.subfigs for axis in part.axes]
    assert [axis.get_visible() for axis in axes] == [True, False]
    assert [text.get_text() for text in axes[0].texts] == ["80.0", "20.0", "25.0", "75.0"]
    assert axes[0].get_title() == "whole set: 76.7 % right"
    assert draw({"confusions": []}) is None
