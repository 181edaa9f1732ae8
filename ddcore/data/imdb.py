"""IMDB, the large movie review data set."""

from pathlib import Path

from torch import Tensor

from ddcore.data.data_set import Counts, DataSet
from ddcore.data.labels import class_numbers
from ddcore.data.parquet import REMEDY, Publication, read_split, shards
from ddcore.data.task import Task
from ddcore.data.text import Texts, cache_key, text_task
from ddcore.errors import DDCoreError, require

CLASSES = ("negative", "positive")
PUBLICATION = Publication("imdb", "stanfordnlp/imdb", "plain_text")


def imdb(data: Path) -> Task:
    """Return IMDB, 25,000 + 25,000 reviews, from parquet files in the Hugging Face layout.

    Raises:
        DDCoreError: a file is missing and cannot be downloaded, or is damaged.
    """
    folder = data / PUBLICATION.name / PUBLICATION.config

    def read(split: str) -> tuple[list[str], Tensor]:
        table = read_split(data, PUBLICATION, split, ("text", "label"))
        where, remedy = f"the {split} part in {folder}", REMEDY.format(folder)
        for number, text in enumerate(table["text"], 1):
            require(isinstance(text, str), f"row {number} of {where} holds no text: {remedy}", DDCoreError)
        return table["text"], class_numbers(table["label"], len(CLASSES), where, remedy)

    def key(split: str) -> str:
        return cache_key(path.read_bytes() for path in shards(data, PUBLICATION, split))

    return text_task("imdb", CLASSES, Texts(read, key), "IMDB reviews (Maas et al. 2011), Hugging Face parquet")


DATA_SET = DataSet(
    name="imdb",
    title="IMDB",
    kind="text",
    counts=Counts(classes=2, train=25000, test=25000, smallest=11250, even=True, size=230),
    load=imdb,
    mirrored=False,
    megabytes=90,
    licence="none stated",
    citation="Maas, Daly, Pham, Huang, Ng & Potts 2011, ACL",
)
