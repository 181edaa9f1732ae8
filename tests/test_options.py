import argparse
from dataclasses import dataclass

import pytest

from ddcore.errors import UsageError
from ddcore.options import (
    add_options,
    changed,
    flat,
    group,
    number,
    option,
    options_of,
    parse_options,
    positive,
    read_options,
    whole_number,
)


@dataclass(frozen=True)
class Toy:
    steps: int = option(10, "outer steps", low=1, high=100)
    learning_rate: float = option(0.1, "of the images, in 50% of cases")
    balanced: bool = option(True, "classes share the budget")
    window: int | None = option(None, "steps that are walked back")
    kind: str = option("random", "which one", choices=("random", "last"))


def parsed(*words: str) -> Toy:
    parser = argparse.ArgumentParser()
    add_options(parser, Toy)
    return read_options(parser.parse_args(words), Toy)


def test_the_defaults_of_the_dataclass_are_those_of_the_command():
    assert parsed() == Toy()


def test_every_type_is_read():
    made = parsed("--steps", "3", "--learning-rate", "0.5", "--no-balanced", "--window", "7", "--kind", "last")
    assert made == Toy(3, 0.5, False, 7, "last")


@pytest.mark.parametrize("value", ["0", "101"])
def test_a_number_outside_its_limits_is_refused_by_name(value):
    with pytest.raises(UsageError, match="--steps"):
        parsed("--steps", value)


def test_help_texts_with_percent_signs_can_be_printed(capsys):
    parser = argparse.ArgumentParser()
    add_options(parser, Toy)
    assert "50%" in parser.format_help()


def test_texts_by_name_are_read_as_on_a_command_line():
    given = {"steps": "3", "learning_rate": "0.5", "balanced": "no", "window": "7", "kind": "last"}
    assert parse_options(Toy, given) == Toy(3, 0.5, False, 7, "last") and parse_options(Toy, {}) == Toy()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pace", "3", "unknown option 'pace'; known: balanced, kind"),
        ("steps", "many", "argument --steps: invalid int value: 'many'"),
        ("steps", "101", "--steps 101 is too large"),
        ("kind", "first", "argument --kind: invalid choice: 'first'"),
        ("balanced", "maybe", "unknown choice 'maybe'; known: no, yes"),
    ],
)
def test_a_wrong_text_is_one_line(name, text, said):
    with pytest.raises(UsageError, match=said):
        parse_options(Toy, {name: text})


@dataclass(frozen=True)
class Inner:
    count: int = option(2, "how often", low=1, flags="validations checks")
    kind: str = option("hard", "which", choices=("hard", "soft", "learned"))
    share: float = option(1.0, "how much")


@dataclass(frozen=True)
class Outer:
    steps: int = option(5, "steps")
    inner: Inner = group(Inner(count=4), hide=("share",), choices={"kind": ("hard", "soft")})


def test_options_in_a_group_stand_beside_the_others(capsys):
    parser = argparse.ArgumentParser()
    add_options(parser, Outer)
    assert read_options(parser.parse_args([]), Outer) == Outer()
    own = read_options(parser.parse_args(["--validations", "7", "--kind", "soft"]), Outer)
    assert own == Outer(5, Inner(7, "soft")) and flat(own) == {"steps": 5, "validations": 7, "kind": "soft"}
    with pytest.raises(SystemExit):
        parser.parse_args(["--kind", "learned"])
    assert "--share" not in parser.format_help()


def test_a_name_of_an_earlier_version_works_and_is_not_shown():
    parser = argparse.ArgumentParser()
    add_options(parser, Outer)
    assert read_options(parser.parse_args(["--checks", "3"]), Outer).inner.count == 3
    assert "--checks" not in parser.format_help() and parse_options(Outer, {"checks": "3"}).inner.count == 3


def test_values_are_changed_by_name_wherever_they_stand():
    assert changed(Outer(), {"validations": 9, "steps": 1}) == Outer(1, Inner(9))
    with pytest.raises(UsageError, match="--validations 0 is too small"):
        changed(Outer(), {"validations": 0})
    with pytest.raises(TypeError, match="no option 'share'"):
        changed(Outer(), {"share": 0.5})


@dataclass(frozen=True)
class Renamed:
    """Options with switches of the version before."""

    shares: str = option("even", "of classes", choices=("even", "data"), flags="shares even=even no-even=data")


@pytest.mark.parametrize(
    ("words", "value"), [([], "even"), (["--no-even"], "data"), (["--even"], "even"), (["--shares", "data"], "data")]
)
def test_a_switch_of_the_version_before_stands_for_a_value_and_is_not_shown(words, value):
    parser = argparse.ArgumentParser()
    add_options(parser, Renamed)
    assert read_options(parser.parse_args(words), Renamed).shares == value and "--no-even" not in parser.format_help()


def test_a_switch_of_the_version_before_is_read_as_a_text():
    assert [parse_options(Renamed, {"even": text}).shares for text in ("yes", "no")] == ["even", "data"]
    with pytest.raises(UsageError, match="unknown choice 'data'; known: no, yes"):
        parse_options(Renamed, {"even": "data"})


def test_counts_are_whole_numbers():
    assert whole_number("0") == 0 and positive("7") == 7
    for function, text in ((whole_number, "-1"), (positive, "0"), (positive, "9" * 10)):
        with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' is not a whole number"):
            function(text)


@pytest.mark.parametrize("text", ["inf", "-inf", "nan", "1e999", "many"])
def test_a_number_is_finite(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' is not a finite number"):
        number(text)
    assert number("-1e-3") == -0.001


def test_every_number_of_every_method_and_selector_is_finite():
    from ddcore.methods import METHODS
    from ddcore.selection import SELECTORS
    from ddcore.training import Evaluation

    count = 0
    for made in (*METHODS.values(), *SELECTORS.values(), Evaluation):
        for each in options_of(made):
            if each.kind is float:
                count += 1
                for text in ("inf", "nan"):
                    with pytest.raises(UsageError, match="not a finite number"):
                        parse_options(made, {each.name: text})
                    with pytest.raises(UsageError, match="not a finite number"):
                        changed(made(), {each.name: float(text)})
    assert count > 20


@dataclass(frozen=True)
class Judged:
    protocol: str = option("own", "how", choices=("own", "ddcore", "default=ddcore"), flags="protocol recipe")


def test_values_of_earlier_versions_stand_for_those_of_today(capsys):
    parser = argparse.ArgumentParser()
    add_options(parser, Judged)
    assert read_options(parser.parse_args(["--recipe", "default"]), Judged) == Judged("ddcore")
    assert parse_options(Judged, {"recipe": "default"}) == Judged("ddcore")
    assert "recipe" not in parser.format_help() and "default}" not in parser.format_help()
    with pytest.raises(SystemExit):
        parser.parse_args(["--protocol", "mine"])


def test_a_preset_fills_what_was_not_typed():
    parser = argparse.ArgumentParser()
    add_options(parser, Toy, filled=False)
    typed = parser.parse_args(["--steps", "10", "--no-balanced"])
    assert vars(typed) == {"steps": 10, "balanced": False}
    preset = {"steps": 7, "learning_rate": 0.5}
    assert read_options(typed, Toy, preset) == Toy(10, 0.5, False)
    assert read_options(parser.parse_args([]), Toy, preset) == Toy(7, 0.5)
    with pytest.raises(UsageError, match="--steps 0 is too small"):
        read_options(parser.parse_args([]), Toy, {"steps": 0})
