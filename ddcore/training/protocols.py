"""The named evaluation protocols: how published works train and test networks on a small set.

A figure is comparable with a published one only under its protocol, on its network. Each fact was read in the
repository that the protocol names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ddcore.data import Task, published_kinds
from ddcore.errors import require
from ddcore.runtime import Json, JSONObject
from ddcore.training.published_recipe import PublishedRecipe

OWN, DDCORE = "own", "ddcore"
DC_REPO, DC_PAPER = "VICO-UoE/DatasetCondensation", "Zhao, Mopuri & Bilen 2021"
# Steps that FRePo trains on sets of these sizes; sets between them take those of the next larger one.
FREPO_STEPS = {10: 1000, 100: 2000, 200: 20000, 500: 5000, 1000: 10000, 5000: 40000}


@dataclass(frozen=True)
class NamedProtocol:
    """One evaluation protocol.

    Attributes:
        name: that it is called by.
        title: whose it is.
        source: paper and file of the repository.
        recipe: returns how a network is trained on a task's set of so many members; None: ddcore's or the set's own.
        net: the network that is trained unless others are asked for; ``default``: the data set's own.
        networks: fresh networks per set, as published.
        sets: sets, as published.
        summary: in words, for people.
        deviates: from the source.
        by_crop: whether a teacher labels the images crop by crop in every epoch.
    """

    name: str
    title: str
    source: str
    recipe: Callable[[Task, int], PublishedRecipe] | None
    net: str = "default"
    networks: int = 1
    sets: int = 1
    summary: str = ""
    deviates: str = ""
    by_crop: bool = False

    def published_recipe(self, task: Task, members: int) -> PublishedRecipe:
        """Return how a network is trained.

        Raises:
            UsageError: the protocol is not for this kind of data.
        """
        require(task.kind == "images", f"protocol '{self.name}' is for images, {task.name} holds {task.kind}")
        assert self.recipe is not None
        return self.recipe(task, members)

    def record(self) -> JSONObject:
        """Return what stands in a file beside each figure."""
        published = {"net": self.net, "networks": self.networks, "sets": self.sets} if self.recipe else {}
        return {"name": self.name, "title": self.title, "source": self.source, **published}


def protocol_name(protocol: Mapping[str, Json]) -> str:
    """Return the name of the protocol in a record of scores; earlier versions named the recipe only."""
    evaluation = protocol.get("evaluation")
    if isinstance(evaluation, dict):
        return str(evaluation["name"])
    recipe = str(protocol.get("recipe", OWN))
    return DDCORE if recipe == "default" else recipe


def _dc_like(task: Task, members: int, changes: str, always: bool) -> PublishedRecipe:
    """Return DC's recipe: one epoch more than asked for, the drop two epochs after the middle, as its loop counts."""
    kinds = published_kinds(changes, task.name)
    epochs = 1000 if kinds or always else 300
    each = -(-members // 256)
    return PublishedRecipe(
        *(each * (epochs + 1), 256, "sgd", 0.01, 0.9, 5e-4, "restart", each * (epochs // 2 + 2)),
        *("cross-entropy", "epochs", changes, kinds),
    )


def _dc(task: Task, members: int) -> PublishedRecipe:
    return _dc_like(task, members, "dc", False)


def _dsa(task: Task, members: int) -> PublishedRecipe:
    return _dc_like(task, members, "dsa", True)


def _frepo(task: Task, members: int) -> PublishedRecipe:
    steps = next((FREPO_STEPS[size] for size in FREPO_STEPS if size >= members), max(FREPO_STEPS.values()))
    kinds = published_kinds("frepo", task.name)
    rest = ("squared error", "epochs", "frepo", kinds)
    return PublishedRecipe(steps, 500, "adam", 3e-4, 0.9, 0.0, "cosine", 500, *rest)


def _rcig(task: Task, members: int) -> PublishedRecipe:
    kinds = published_kinds("rcig", task.name)
    steps, rest = 1000 if members == 10 else 2000, ("squared error", "drawn", "rcig", kinds)
    return PublishedRecipe(steps, 256, "adam", 1e-4, 0.9, 0.0, "cosine", 500, *rest)


def _dd_ranking(task: Task, members: int) -> PublishedRecipe:
    each, rest = -(-members // 128), ("cross-entropy", "epochs", "dsa", published_kinds("dsa", task.name))
    return PublishedRecipe(each * 1000, 128, "sgd", 0.01, 0.9, 5e-4, "step", each * 500, *rest)


def _rded(task: Task, members: int) -> PublishedRecipe:
    """Return RDED's recipe; its program has batches for 1, 10 and 50 images per class only."""
    classes = len(task.classes)
    per_class = members // classes
    size = 10 if per_class < 10 else 50 if per_class < 50 else 100
    size = min(members, size * (2 if classes >= 100 else 1))
    each = -(-members // size)
    return PublishedRecipe(
        *(300 * each, size, "adamw", 0.001, 0.9, 0.01, "quarter cosine", each),
        *("divergence", "epochs", "rded", published_kinds("rded", task.name)),
    )


_SGD = (
    "SGD 0.01 with momentum 0.9 and weight decay 0.0005 on all parameters, batches of 256, a tenth of the rate and a "
    "fresh momentum from the middle on, last state"
)

PROTOCOLS: dict[str, NamedProtocol] = {
    each.name: each
    for each in (
        NamedProtocol(
            OWN,
            "the set's own recipe",
            "the set",
            None,
            summary="the recipe or schedule that the set holds, otherwise ddcore's default",
        ),
        NamedProtocol(
            DDCORE,
            "ddcore's default recipe",
            "ddcore/training/recipes.py",
            None,
            summary="the same recipe for every set of its size: Muon, 1,000 steps, shifts, mixup and smoothed labels",
        ),
        NamedProtocol(
            "dc",
            "DC",
            f"{DC_PAPER}; {DC_REPO}, utils.py and main.py",
            _dc,
            "convnet-128",
            20,
            5,
            f"{_SGD}; 300 epochs without changes of the images; MNIST: 1,000 epochs, each image shifted, scaled or "
            "rotated",
            "ddcore's normalisation of CIFAR; no bias before the norm, which cancels it",
        ),
        NamedProtocol(
            "dsa",
            "DSA and DM",
            f"Zhao & Bilen 2021 and 2023; {DC_REPO}, utils.py, main.py and main_DM.py",
            _dsa,
            "convnet-128",
            20,
            5,
            f"{_SGD}; 1,000 epochs; per batch one of colour, crop, cutout, flip (not digits), scale, rotate, its "
            "strength drawn per image",
            "as dc",
        ),
        NamedProtocol(
            "frepo",
            "FRePo",
            "Zhou, Nezhadarya & Ba 2022; yongchao97/FRePo, script/evaluate.py",
            _frepo,
            "convnet-frepo",
            5,
            1,
            "Adam 0.0003, warm-up over 500 steps, then half a cosine to a hundredth; batches of 500; 1,000 steps for "
            "10 members, 2,000 for 100, 5,000 for 500; squared error to centred labels; per batch one of colour, "
            "zoom, rotate, translate, cutout (and flip, except for MNIST and Fashion-MNIST), its strength drawn per "
            "image",
            "no ZCA, which it has on colour images only",
        ),
        NamedProtocol(
            "rcig",
            "RCIG",
            "Loo et al. 2023; yolky/RCIG, eval.py, with data augmentation",
            _rcig,
            "convnet-frepo",
            5,
            1,
            "Adam 0.0001, warm-up over 500 steps, then half a cosine to a hundredth; batches of 256; 1,000 steps for "
            "10 members, otherwise 2,000; squared error to centred labels; per batch one of zoom, rotate, translate, "
            "cutout (and flip, except for MNIST and Fashion-MNIST), its strength drawn per image",
            "no ZCA; mirrored copies of the set's images are not added",
        ),
        NamedProtocol(
            "dd-ranking",
            "DD-Ranking, hard labels",
            "NUS-HPC-AI-Lab/DD-Ranking, demo_hard.py and configs/Demo_LRS_Hard_Label.yaml",
            _dd_ranking,
            "convnet-128",
            5,
            1,
            "SGD 0.01 with momentum 0.9 and weight decay 0.0005 on all parameters, batches of 128, 1,000 epochs, a "
            "tenth of the rate from the middle on, the changes of dsa",
            "the accuracy is that of the last state; DD-Ranking takes the best test accuracy of the last fifth, which "
            "is higher",
        ),
        NamedProtocol(
            "rded",
            "RDED, a teacher's labels by crop",
            "Sun et al. 2024; LINs-lab/RDED, argument.py and validation/",
            _rded,
            "convnet-bn-128",
            1,
            1,
            "--teacher RUN_DIR labels the crops of every epoch; 300 epochs of AdamW 0.001 with weight decay 0.01 on "
            "weights, a cosine that ends at half the rate; batches of 10 from 1 image per class, 50 from 10, 100 from "
            "50, twice that from 100 classes; crops of at least 1 / factor of a mosaic (single images are not "
            "cropped), flip (not digits), CutMix; divergence from the teacher's labels at temperature 20, without T²",
            "the accuracy is that of the last state; RDED takes the best test accuracy of the last fifth, which is "
            "higher. ddcore's normalisation in place of ImageNet's; each image has its "
            "own box and its own partner from the whole set, where RDED mixes a batch with itself in one box; "
            "the teacher's logits pass through half precision",
            by_crop=True,
        ),
    )
}
"""The protocols by name."""
