from ddcore.report.figure_accuracy import _tick_labels


def test_budgets_that_lie_close_together_share_a_label() -> None:
    assert _tick_labels([250, 12_500, 24_877, 25_000]) == ["250", "12.5k", "", "25k"]
    assert _tick_labels([600]) == ["600"]
