import torch

from ddcore.data.augment import cut, cut_places, mixing, random_spans, shift_and_flip
from ddcore.data.tokens import Tokens
from ddcore.draws import generator


def test_every_image_is_one_of_its_shifts_and_mirrors():
    x = torch.randn(40, 2, 5, 6, generator=generator(0))
    fill = torch.tensor([-1.0, -2.0]).view(2, 1, 1)
    out = shift_and_flip(x, 1, True, fill, generator(1))
    seen = set()
    for image, moved in zip(x, out, strict=True):
        framed = fill.expand(2, 7, 8).clone()
        found = None
        for mirror in (False, True):
            framed[:, 1:6, 1:7] = image.flip(2) if mirror else image
            for down in range(3):
                for right in range(3):
                    if torch.equal(framed[:, down : down + 5, right : right + 6], moved):
                        found = (mirror, down, right)
        assert found is not None
        seen.add(found)
    assert {mirror for mirror, _, _ in seen} == {False, True}
    assert len({(down, right) for _, down, right in seen}) >= 7


def test_same_key_same_images_and_no_change_without_shift():
    x = torch.randn(6, 1, 4, 4, generator=generator(0))
    fill = torch.zeros(1, 1, 1)
    assert torch.equal(shift_and_flip(x, 2, True, fill, generator(5)), shift_and_flip(x, 2, True, fill, generator(5)))
    assert torch.equal(shift_and_flip(x, 0, False, fill, generator(5)), x)


def test_cut_out_clears_one_square():
    places = cut_places(50, (8, 8), 3, generator(2))
    out = cut(torch.ones(50, 2, 8, 8), places)
    cleared = (out == 0).sum((2, 3))
    assert torch.equal(cleared[:, 0], cleared[:, 1])
    assert cleared.max() == 9 and cleared.min() >= 4
    assert torch.equal(out, cut(torch.ones(50, 2, 8, 8), places.long()))


def test_spans_are_pieces_of_their_texts():
    texts = Tokens.of([[1, 2, 3, 4, 5, 6], [7], [], [8, 9, 10]])
    starts = set()
    for seed in range(20):
        out = random_spans(texts, 3, generator(seed))
        assert out.lengths.tolist() == [3, 1, 0, 3]
        first = out.sequence(0).tolist()
        assert first == list(range(first[0], first[0] + 3))
        assert out.sequence(1).tolist() == [7] and out.sequence(3).tolist() == [8, 9, 10]
        starts.add(first[0])
    assert starts == {1, 2, 3, 4}


def test_mixing_keeps_the_first_member_the_larger():
    share, partner = mixing(10, generator(0))
    assert 0.5 <= share <= 1 and sorted(partner.tolist()) == list(range(10))
