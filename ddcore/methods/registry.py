"""The methods, by name."""

from importlib import import_module

from ddcore.synthesis import Method

# A method's module and class.
MODULES = {
    "boost_dd": "BoostDD",
    "cim": "CIM",
    "cover": "Cover",
    "dc": "DC",
    "dd": "DD",
    "dm": "DM",
    "dsa": "DSA",
    "frepo": "FRePo",
    "gan": "GAN",
    "krr": "KRR",
    "mtt": "MTT",
    "ncfm": "NCFM",
    "rat_bptt": "RatBPTT",
    "sre2l": "SRe2L",
}

METHODS: dict[str, type[Method]] = {
    each.name: each
    for each in (getattr(import_module(f"ddcore.methods.{module}"), name) for module, name in MODULES.items())
}
