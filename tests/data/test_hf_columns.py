import datasets
import pytest

from ddcore.data.custom import CustomData
from ddcore.data.hf_columns import Split, class_names, columns_of, ordered, texts_of
from ddcore.errors import UsageError

IMAGE, TEXT, NUMBER, CLASS = (
    datasets.Image(),
    datasets.Value("string"),
    datasets.Value("int64"),
    datasets.ClassLabel(names=["cat", "a  dog"]),
)


def custom(**options):
    return CustomData("hf", "hf:pets", (), options, "pets")


def table(rows=(), **features):
    columns = {name: [row[name] for row in rows] for name in features}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def found(options, **features):
    columns = columns_of(custom(**options), table(**features))
    return (columns.kind, columns.member, columns.label)


def test_columns_are_found_where_they_are_clear():
    assert found({}, image=IMAGE, label=CLASS) == ("image", "image", "label")
    assert found({}, photo=IMAGE, caption=TEXT, kind=CLASS) == ("image", "photo", "kind")
    assert found({}, img=IMAGE, mask=IMAGE, label=NUMBER, id=NUMBER) == ("image", "img", "label")
    assert found({}, text=TEXT, title=TEXT, label=TEXT) == ("text", "text", "label")
    assert found({}, review=TEXT, label=datasets.Value("bool")) == ("text", "review", "label")
    assert found({}, text=TEXT, coarse=CLASS, label=CLASS) == ("text", "text", "label")
    files = {"bytes": datasets.Value("binary"), "path": TEXT}
    assert found({}, img=files, label=NUMBER) == ("image", "img", "label")
    assert found({}, png=datasets.Value("binary"), label=NUMBER) == ("image", "png", "label")


def test_columns_that_are_named_are_used():
    assert found({"text": "caption"}, image=IMAGE, caption=TEXT, label=CLASS) == ("text", "caption", "label")
    assert found({"label": "fine"}, image=IMAGE, coarse=CLASS, fine=CLASS) == ("image", "image", "fine")
    assert found({"image": "b", "label": "stars"}, a=IMAGE, b=IMAGE, stars=NUMBER) == ("image", "b", "stars")
    assert found({"label": "mood"}, review=TEXT, mood=TEXT) == ("text", "review", "mood")
    assert found({"label": "image"}, image=IMAGE, text=TEXT, other=IMAGE) == ("image", "other", "image")


@pytest.mark.parametrize(
    ("options", "features", "line"),
    [
        ({}, {"image": IMAGE}, "has no column of labels (it has: image)"),
        ({}, {"label": CLASS}, "has no column of images or texts (it has: label)"),
        (
            {},
            {"text": TEXT, "stars": NUMBER, "of": TEXT},
            "which column of 'pets' on the Hugging Face Hub holds the labels",
        ),
        ({}, {"text": TEXT, "stars": NUMBER, "of": TEXT}, "add ,label=COLUMN to --dataset hf:pets, one of: stars, of"),
        (
            {},
            {"image": IMAGE, "fine": CLASS, "coarse": CLASS, "id": NUMBER},
            "add ,label=COLUMN to --dataset hf:pets, one of: fine, coarse",
        ),
        ({}, {"a": IMAGE, "b": IMAGE, "label": CLASS}, "add ,image=COLUMN to --dataset hf:pets, one of: a, b"),
        ({}, {"a": TEXT, "b": TEXT, "label": CLASS}, "add ,text=COLUMN to --dataset hf:pets, one of: a, b"),
        ({"label": "y"}, {"image": IMAGE, "label": CLASS}, "has no column 'y' (it has: image, label)"),
        ({"image": "x"}, {"image": IMAGE, "label": CLASS}, "has no column 'x' (it has: image, label)"),
        (
            {"text": "image"},
            {"image": IMAGE, "label": CLASS},
            "the column 'image' of 'pets' on the Hugging Face Hub holds no texts (Image)",
        ),
        ({"image": "text"}, {"text": TEXT, "label": CLASS}, "holds no images (string)"),
        (
            {"image": "image", "text": "text"},
            {"image": IMAGE, "text": TEXT, "label": CLASS},
            "give image= or text=, not both",
        ),
        ({"text": "label"}, {"text": TEXT, "label": TEXT}, "cannot be both the text and the label"),
    ],
)
def test_columns_that_are_unclear_or_missing_are_one_line(options, features, line):
    with pytest.raises(UsageError) as caught:
        found(options, **features)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_many_columns_are_listed_in_part():
    with pytest.raises(UsageError, match=r"one of: c0, c1, .*, c11, …$"):
        found({}, image=IMAGE, **{f"c{k}": NUMBER for k in range(20)})


def labels(feature, values):
    rows = table([{"label": value} for value in values], label=feature)
    return class_names(custom(), Split("train", rows), "label")


def test_labels_become_class_names():
    assert labels(CLASS, [1, 0]) == ["a dog", "cat"]
    assert labels(NUMBER, [7, -1]) == ["7", "-1"] and labels(datasets.Value("bool"), [True]) == ["True"]
    assert labels(TEXT, [" a\n b ", "c"]) == ["a b", "c"] and labels(datasets.Value("float32"), [2.0]) == ["2"]
    shuffled = table([{"label": value} for value in (0, 1, 1)], label=CLASS).select([2, 0])
    assert class_names(custom(), Split("train", shuffled), "label") == ["a dog", "cat"]
    assert ordered(shuffled, "label") == ["cat", "a dog"] and ordered(table(label=TEXT), "label") is None


@pytest.mark.parametrize(
    ("feature", "values", "line"),
    [
        (
            CLASS,
            [0, -1],
            "the split 'train' of 'pets' on the Hugging Face Hub has no labels: row 2 has the class -1, the Hub's",
        ),
        (
            CLASS,
            [0, None],
            "row 2 of the split 'train' of .* has no label in the column 'label' that is a class .None.",
        ),
        (TEXT, ["a", None], "row 2 .* has no label"),
        (TEXT, ["a", " "], "row 2 .* has no label"),
        (datasets.Value("float32"), [1.0, 1.5], "row 2 .* has no label .* that is a class .1.5."),
        (datasets.Value("float32"), [1.0, float("nan")], "row 2 .* has no label .* that is a class .nan."),
        (datasets.List(NUMBER), [[0, 1]], "holds no classes .several labels per member.: one word or whole number"),
        (datasets.List(CLASS), [[0, 1]], "holds no classes .several labels per member.: one word or whole number"),
        ({"a": NUMBER}, [{"a": 1}], "holds no classes .dict.: one word"),
        (datasets.Value("timestamp[s]"), [1], r"holds no classes .timestamp\[s\]."),
    ],
)
def test_labels_that_are_no_classes_are_one_line(feature, values, line):
    with pytest.raises(UsageError, match=line) as caught:
        labels(feature, values)
    assert "\n" not in str(caught.value)


def test_texts_are_read_and_empty_ones_refused():
    rows = table([{"text": text} for text in ("a", "b", None)], text=TEXT)
    assert texts_of(custom(), Split("train", rows.select([1, 0])), "text") == ["b", "a"]
    with pytest.raises(
        UsageError, match=r"row 3 of the split 'train' of .* has no text in the column 'text': fill it in"
    ):
        texts_of(custom(), Split("train", rows), "text")
