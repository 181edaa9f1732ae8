"""The product: a small training set, and what a person sees of it."""

from ddcore.sets.distilled_set import DistilledSet, load_sets, set_digest, set_folders
from ddcore.sets.origin import SOURCES, Origin
from ddcore.sets.views import SHOWN_CLASSES, SHOWN_PER_CLASS, export_images, grid_png, pixels, tokens_of, write_views

__all__ = [
    "SHOWN_CLASSES",
    "SHOWN_PER_CLASS",
    "SOURCES",
    "DistilledSet",
    "Origin",
    "export_images",
    "grid_png",
    "load_sets",
    "pixels",
    "set_digest",
    "set_folders",
    "tokens_of",
    "write_views",
]
