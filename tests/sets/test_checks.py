"""Sets from strangers: every field and tensor of a wrong kind is one line."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from ddcore import DDCoreError, DistilledSet
from ddcore.data.task import Scale
from ddcore.data.tokens import Tokens
from ddcore.nets.embedding import Embedding
from ddcore.runtime.files import canonical
from ddcore.sets.distilled_set import _digest
from ddcore.sets.origin import Origin
from ddcore.unroll.schedule import Schedule


def image_set() -> DistilledSet:
    return DistilledSet(
        kind="images",
        x=torch.zeros(4, 1, 8, 8),
        y=torch.tensor([0, 0, 1, 1]),
        origin=Origin("toy", ("low", "high"), "dd", {"budget": 4}, {"source": "here"}),
        scale=Scale((0.3,), (0.2,)),
        soft=torch.zeros(4, 2),
        temperature=2.0,
        indices=torch.arange(4),
        recipes={"default": {"steps": 10}},
        schedule=Schedule("mlp", torch.full((2,), 0.1), torch.arange(4).view(2, 2)),
    )


def token_set() -> DistilledSet:
    tokens = Tokens.of([[4, 5, 6], [7]])
    origin = Origin("t", ("a", "b"), "x", texts=("A film", "Ö"))
    return DistilledSet("tokens", tokens, torch.tensor([0, 1]), origin, Scale(max_tokens=9))


def embedded_set() -> DistilledSet:
    embedding = Embedding("here", "cnn", torch.randn(9, 5), torch.ones(9, dtype=torch.bool))
    origin = Origin("t", ("a", "b"), "dm")
    return DistilledSet("embeddings", torch.zeros(2, 3, 5), torch.tensor([0, 1]), origin, embedding=embedding)


SETS = {"images": image_set, "tokens": token_set, "embeddings": embedded_set}
WRONG = [None, "abc", -1, 0, 1.5, True, [], {}, [[]], [None], {"x": "abc"}, "\u00fc", 2**70, -(2**70), 1e300]


def put(folder, record):
    record.pop("record_sha256", None)
    (folder / "set.json").write_text(json.dumps(record))


def refused(folder) -> str:
    """Return the line that refuses a set; nothing but a `DDCoreError` may be raised. Empty if it is read."""
    try:
        small = DistilledSet.load(folder)
    except DDCoreError as error:
        assert "\n" not in str(error) and str(folder) in str(error)
        return str(error)
    # What is read can be used.
    small.inputs(), small.targets(), str(small.schedule), canonical(small.options)
    assert len(small.texts) in (0, len(small))
    return ""


@pytest.mark.parametrize("kind", SETS)
def test_every_field_of_a_wrong_type_is_one_line(tmp_path, kind):
    SETS[kind]().save(tmp_path)
    whole = json.loads((tmp_path / "set.json").read_text())
    for name in whole:
        for value in WRONG:
            put(tmp_path, whole | {name: value})
            line = refused(tmp_path)
            fits = type(value) is type(whole[name]) and value not in ([[]], [None], 2**70, -(2**70))
            assert line or fits or value is None or name in ("labels", "record_sha256", "temperature"), (name, value)
        put(tmp_path, {each: value for each, value in whole.items() if each != name})
        refused(tmp_path)
    for name in ("schedule", "embedding"):
        for inner in whole[name] or ():
            for value in WRONG:
                put(tmp_path, whole | {name: whole[name] | {inner: value}})
                refused(tmp_path)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"format": "1"}, "'format' is not a whole number"),
        ({"format": True}, "'format' is not a whole number"),
        ({"format": 1.0}, "'format' is not a whole number"),
        ({"members": 10**30}, "'members' is not a whole number"),
        ({"mean": [0.1, 0.2]}, "constants do not fit"),
        ({"std": [0]}, "standard deviation of the normalisation is not positive"),
        ({"std": [-0.2]}, "standard deviation of the normalisation is not positive"),
        ({"mean": ["a"]}, r"'mean\[0\]' is not a number"),
        ({"temperature": -1}, "temperature is not positive"),
        ({"max_tokens": -1}, "fewer than no tokens"),
        ({"classes": [1, 2]}, r"'classes\[0\]' is not a text"),
        ({"classes": "ab"}, "'classes' is not a list"),
        ({"kind": "sounds"}, "unknown kind 'sounds'"),
        ({"recipes": {"mlp": 3}}, "'recipes.mlp' is not an object"),
        ({"schedule": {"net": "mlp", "rule": {}, "start": "random", "poison": [1, "a"]}}, "'schedule.poison"),
        ({"schedule": {"net": "mlp", "rule": {"momentum": "abc"}, "start": "x", "poison": None}}, "schedule.rule.mom"),
        ({"schedule": {"net": "mlp", "rule": {"optimiser": "lion"}, "start": "random", "poison": None}}, "'lion'"),
    ],
)
def test_the_line_says_what_is_wrong(tmp_path, change, line):
    image_set().save(tmp_path)
    put(tmp_path, json.loads((tmp_path / "set.json").read_text()) | change)
    with pytest.raises(DDCoreError, match=line):
        DistilledSet.load(tmp_path)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("name", ["mean", "members", "temperature"])
def test_numbers_without_end_are_one_line(tmp_path, name, text):
    image_set().save(tmp_path)
    record = json.loads((tmp_path / "set.json").read_text())
    put(tmp_path, record | {name: "HERE"})
    path = tmp_path / "set.json"
    path.write_text(path.read_text().replace('"HERE"', f"[{text}]" if name == "mean" else text))
    assert "not a finite number" in refused(tmp_path)


TENSORS = {
    "0-d": lambda x: torch.zeros((), dtype=x.dtype),
    "empty": lambda x: x[:0].clone(),
    "one axis more": lambda x: x[None].clone(),
    "one axis less": lambda x: x.flatten()[: len(x)].clone() if x.ndim > 1 else x[0].clone(),
    "twice": lambda x: torch.cat([x, x]),
    "float16": lambda x: x.half(),
    "int8": lambda x: x.to(torch.int8),
    "bool": lambda x: x.bool(),
    "complex": lambda x: x.to(torch.complex64),
    "nan": lambda x: torch.full_like(x, torch.nan) if x.is_floating_point() else torch.full_like(x, -1),
    "large": lambda x: torch.full_like(x, torch.inf if x.is_floating_point() else 100),
}


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("damage", TENSORS)
def test_every_tensor_of_a_wrong_kind_is_one_line(tmp_path, kind, damage):
    SETS[kind]().save(tmp_path)
    path, record = tmp_path / "set.safetensors", json.loads((tmp_path / "set.json").read_text())
    whole = load_file(path)
    for name, tensor in whole.items():
        save_file(whole | {name: TENSORS[damage](tensor)}, path)
        put(tmp_path, record | {"sha256": _digest(tmp_path)})
        line = refused(tmp_path)
        # Probabilities of any size, a step size of any float, and other known words are sound sets.
        sound = name in ("schedule.rates", "soft", "embedding.seen") or (name, damage) == ("indices", "large")
        sound = sound or (name.endswith(".values") and damage == "large")
        assert line or sound, (name, damage)


def test_the_record_itself_is_covered_by_a_digest(tmp_path):
    image_set().save(tmp_path)
    path = tmp_path / "set.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(record.items()))))  # white space and order do not count
    assert DistilledSet.load(tmp_path).method == "dd"
    for change in ({"method": "frepo"}, {"dataset": "mnist"}, {"provenance": {}}, {"later": 1}, {"record_sha256": "0"}):
        path.write_text(json.dumps(record | change))
        with pytest.raises(DDCoreError, match=r"set\.json was changed after it was written"):
            DistilledSet.load(tmp_path)
    put(tmp_path, record | {"method": "frepo"})
    assert DistilledSet.load(tmp_path).method == "frepo"
