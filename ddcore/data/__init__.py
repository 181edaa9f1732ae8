"""The real data sets by name, custom data sets, and the form in which networks read members."""

from ddcore.data.augment import cut, cut_places, mixing, random_spans, shift_and_flip, shift_places, shifted
from ddcore.data.clauses import Clauses, clauses
from ddcore.data.crop_changes import CropChanges, draw_crop_changes
from ddcore.data.custom import CustomData, is_custom, parse, refuse_inside
from ddcore.data.examples import SMALLEST, Examples, Inputs, logits_of
from ddcore.data.fingerprint import FINGERPRINT, Fingerprint
from ddcore.data.gathering import at_hand, batch_of, gathered, near, used
from ddcore.data.hf_splits import quiet
from ddcore.data.image_files import EIGHT_BITS, opened
from ddcore.data.images import image_task, resized
from ddcore.data.mosaics import Mosaics, cropped, draw_boxes, padded, tile_size
from ddcore.data.picture_task import Pictures
from ddcore.data.pixel_cache import forget, kept, pixel_folder
from ddcore.data.published_changes import published_changes, published_kinds
from ddcore.data.registry import DATASETS, NAMES, data_folder, load_task, read_custom
from ddcore.data.resized_crops import Box, random_box, viewed
from ddcore.data.siamese import STRATEGIES, Changes, augmented, drawn, strategies
from ddcore.data.source_texts import SourceTexts
from ddcore.data.task import Scale, Task, planes, validation_part
from ddcore.data.text import MAX_TOKENS
from ddcore.data.tokeniser import encode, load_tokeniser, readable, save_tokeniser, spaced, vocabulary_digest
from ddcore.data.tokens import PAD, UNKNOWN, Tokens, join

__all__ = [
    "DATASETS",
    "EIGHT_BITS",
    "FINGERPRINT",
    "MAX_TOKENS",
    "NAMES",
    "PAD",
    "SMALLEST",
    "STRATEGIES",
    "UNKNOWN",
    "Box",
    "Changes",
    "Clauses",
    "CropChanges",
    "CustomData",
    "Examples",
    "Fingerprint",
    "Inputs",
    "Mosaics",
    "Pictures",
    "Scale",
    "SourceTexts",
    "Task",
    "Tokens",
    "at_hand",
    "augmented",
    "batch_of",
    "clauses",
    "cropped",
    "cut",
    "cut_places",
    "data_folder",
    "draw_boxes",
    "draw_crop_changes",
    "drawn",
    "encode",
    "forget",
    "gathered",
    "image_task",
    "is_custom",
    "join",
    "kept",
    "load_task",
    "load_tokeniser",
    "logits_of",
    "mixing",
    "near",
    "opened",
    "padded",
    "parse",
    "pixel_folder",
    "planes",
    "published_changes",
    "published_kinds",
    "quiet",
    "random_box",
    "random_spans",
    "read_custom",
    "readable",
    "refuse_inside",
    "resized",
    "save_tokeniser",
    "shift_and_flip",
    "shift_places",
    "shifted",
    "spaced",
    "strategies",
    "tile_size",
    "used",
    "validation_part",
    "viewed",
    "vocabulary_digest",
]
