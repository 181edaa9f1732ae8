"""The product: a small training set, what a person sees of it, and what other tools read and write."""

from ddcore.sets.distilled_set import DistilledSet, load_sets, set_digest, set_folders
from ddcore.sets.formats.contract import Format, Notes
from ddcore.sets.formats.exporting import export_set
from ddcore.sets.formats.importing import Details, Imported, import_set
from ddcore.sets.formats.normalisation import NAMES as NORMALISATIONS
from ddcore.sets.formats.normalisation import NORMALISATIONS as PEER_SCALES
from ddcore.sets.formats.registry import EXPORTED, FORMATS, IMPORTED
from ddcore.sets.formats.upload import push_to_hub
from ddcore.sets.multi_formation import check_factor, encoded, enlarged, slots_of, stored_gradient
from ddcore.sets.origin import SOURCES, Origin
from ddcore.sets.views import SHOWN_CLASSES, SHOWN_PER_CLASS, grid_png, pixels, tokens_of, write_views

__all__ = [
    "EXPORTED",
    "FORMATS",
    "IMPORTED",
    "NORMALISATIONS",
    "PEER_SCALES",
    "SHOWN_CLASSES",
    "SHOWN_PER_CLASS",
    "SOURCES",
    "Details",
    "DistilledSet",
    "Format",
    "Imported",
    "Notes",
    "Origin",
    "check_factor",
    "encoded",
    "enlarged",
    "export_set",
    "grid_png",
    "import_set",
    "load_sets",
    "pixels",
    "push_to_hub",
    "set_digest",
    "set_folders",
    "slots_of",
    "stored_gradient",
    "tokens_of",
    "write_views",
]
