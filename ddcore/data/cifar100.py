"""CIFAR-100 with its 100 fine classes, 32x32 colour, 50,000 + 10,000, in the Hugging Face layout."""

from functools import partial

from ddcore.data.data_set import Counts, DataSet
from ddcore.data.parquet import Publication, parquet_images

NAMES = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel "
    "can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur "
    "dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion "
    "lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree "
    "pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea "
    "seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank "
    "telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
CLASSES = tuple(NAMES.split())
DATA_SET = DataSet(
    name="cifar100",
    title="CIFAR-100",
    kind="images",
    counts=Counts(classes=100, train=50000, test=10000, smallest=450, even=True, size=1024),
    load=partial(
        parquet_images,
        Publication("cifar100", "uoft-cs/cifar100", "cifar100"),
        "fine_label",
        CLASSES,
        "CIFAR-100 (Krizhevsky 2009), Hugging Face parquet",
    ),
    mirrored=True,
    megabytes=145,
    licence="none stated",
    citation="Krizhevsky 2009, technical report, University of Toronto",
)
