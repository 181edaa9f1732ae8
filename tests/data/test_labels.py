import pytest

from ddcore.data.labels import class_numbers
from ddcore.errors import DDCoreError


def test_whole_numbers_of_the_classes_become_labels():
    assert class_numbers([2, 0, 1, 0], 3, "here", "run again").tolist() == [2, 0, 1, 0]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([0, 1, -1], "here has the label -1, and labels are whole numbers from 0 to 1: run again"),
        ([0, 1, 2], "here has the label 2, and"),
        ([0, None], "here has the label None, and"),
        (["cat", "dog"], "here has the label 'cat', and"),
        ([0.0, 1.0], "here has the label 0.0, and"),
        ([True, False], "here has the label True, and"),
        ([0, 0], "here has no members with the label 1, so that it is not the whole data set: run again"),
        ([], "here has no members with the label 0"),
    ],
)
def test_other_labels_are_one_line(labels, told):
    with pytest.raises(DDCoreError, match=told):
        class_numbers(labels, 2, "here", "run again")
