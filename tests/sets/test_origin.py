from ddcore.sets.origin import Origin


def test_an_origin_needs_no_options():
    assert Origin("digits", ("0", "1"), "random").options == {}
