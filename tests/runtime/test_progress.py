from ddcore.runtime.progress import shifted


def test_a_part_of_a_longer_piece_of_work_is_counted_from_its_place():
    seen = []
    part = shifted(lambda *told: seen.append(told), 30, 100)
    part(5, 10, {"loss": 1.0})
    assert seen == [(35, 100, {"loss": 1.0})] and shifted(None, 30, 100) is None
