"""Run folders of the version before, whose options had other names."""

from ddcore.runtime.files import JSONObject

FORMAT = 2
NAMES = {
    "images": "init",
    "checks": "validations",
    "check_networks": "validation_networks",
    "check_steps": "validation_steps",
    "check_net": "validation_net",
    "check_members": "validation_members",
}


def current(config: JSONObject) -> JSONObject:
    """Return a run's configuration by today's names; one of today is returned as it is."""
    if config.get("format") == FORMAT:
        return config
    options = dict(config.get("options", {}))
    if options.get("method") == "dd" and "init" in options:
        options["start_weights"] = options.pop("init")
    if options.get("method") == "frepo":
        options["init"] = "k-means"
    return {**config, "format": FORMAT, "options": {NAMES.get(name, name): value for name, value in options.items()}}
