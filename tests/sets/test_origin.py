from ddcore.sets.origin import Scale


def test_a_scale_is_that_of_the_real_set(toy):
    assert Scale.of(toy) == Scale(toy.mean, toy.std, 0) and len(toy.mean) == 1
