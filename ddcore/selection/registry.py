"""The selectors, by name."""

from importlib import import_module

from ddcore.selection.selector import Selector

# A selector's module and class.
MODULES = {
    "ccs": "CCS",
    "el2n": "EL2N",
    "entropy": "Entropy",
    "forgetting": "Forgetting",
    "grand": "GraNd",
    "herding": "Herding",
    "k_center": "KCenter",
    "k_means": "KMeans",
    "margin": "Margin",
    "mutual_information": "MutualInformation",
    "random_choice": "RandomChoice",
    "rded": "RDED",
    "rl_agent": "RLAgent",
}

SELECTORS: dict[str, type[Selector]] = {
    each.name: each
    for each in (getattr(import_module(f"ddcore.selection.{module}"), name) for module, name in MODULES.items())
}
