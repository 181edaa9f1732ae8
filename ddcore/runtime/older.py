"""Run folders of the version before, whose options had other names."""

from ddcore.runtime.files import JSONObject

FORMAT = 3
ADDED = {
    "classes_per_step": 100,
    "protocol": "ddcore",
    "image_optimiser": "adam",
    "inner_momentum": 0.5,
    "inner_changes": "alike",
    "loss": "cross-entropy",
    "factor": 1,
    "label_temperature": 20.0,
    "hard_share": 0.0,
    "min_start": 0,
    "right_experts": False,
}
"""Options that came later, and the value that stands for what was done without them."""
NAMES = {
    "images": "init",
    "checks": "validations",
    "check_networks": "validation_networks",
    "check_steps": "validation_steps",
    "check_net": "validation_net",
    "check_members": "validation_members",
}

PROTOCOLS = {"default": "ddcore"}
"""Recipes of an evaluation that are named otherwise now; their option was ``recipe``."""


def current(config: JSONObject) -> JSONObject:
    """Return a run's configuration by today's names; one of today is returned as it is."""
    if "recipe" in (asked := config.get("options", {})):
        named = {**asked, "protocol": PROTOCOLS.get(asked["recipe"], asked["recipe"])}
        config = {**config, "options": {name: value for name, value in named.items() if name != "recipe"}}
    if config.get("format") == FORMAT:
        return config
    options = _shared_evenly(dict(config.get("options", {})))
    if config.get("format") == FORMAT - 1:
        return {**config, "format": FORMAT, "options": options}
    if options.get("method") == "dd" and "init" in options:
        options["start_weights"] = options.pop("init")
    if options.get("method") == "frepo":
        options["init"] = "k-means"
    return {**config, "format": FORMAT, "options": {NAMES.get(name, name): value for name, value in options.items()}}


def with_added(before: JSONObject, now: JSONObject) -> JSONObject:
    """Return a run's options with those of `ADDED` that today's have, those of a cell of a comparison included."""
    options = {**{name: value for name, value in ADDED.items() if name in now}, **before}
    if isinstance(inner := options.get("options"), dict) and isinstance(now.get("options"), dict):
        options["options"] = with_added(inner, now["options"])
    return options


def _shared_evenly(options: JSONObject) -> JSONObject:
    """Return options of a set with ``proportions``, which earlier versions called ``balanced`` or did not have.

    Sets that were not balanced keep their old option, since it meant another choice of members: they are not resumed.
    """
    if "way" in options and isinstance(options.get("options"), dict):  # a cell of a comparison, or its set
        return {**options, "options": _even(options["options"])}
    return _even(options) if "budget" in options and "minutes" not in options else options


def _even(options: JSONObject) -> JSONObject:
    rest = {name: value for name, value in options.items() if name != "balanced"}
    return {**rest, "proportions": "balanced"} if options.get("balanced", True) else options
