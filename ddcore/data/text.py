"""Text data sets: IMDB."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tokenizers
import torch

from ddcore.data.parquet import read_split
from ddcore.data.task import Task, cache_dir, validation_part
from ddcore.data.tokeniser import encode, load_tokeniser, save_tokeniser, train_tokeniser
from ddcore.errors import DDCoreError
from ddcore.examples import Examples
from ddcore.runs import load_tensors, save_tensors
from ddcore.tokens import Tokens

CLASSES = ("negative", "positive")
MAX_TOKENS = 512
# Part of the cache's key: count up when the tokeniser's rules change.
RULES = "words 1"


def imdb(data: Path) -> Task:
    """Return IMDB (Maas et al. 2011): 25,000 + 25,000 reviews, through parquet files in the Hugging Face layout.

    Words and ids come from the training reviews only. Token ids are kept in the cache folder, so that only the first
    stage tokenises.

    Raises:
        DDCoreError: a file is missing and cannot be downloaded, or is damaged.
    """
    folder = data / "imdb" / "plain_text"
    if not any(folder.glob("train-*.parquet")):
        read_split(data, "imdb", "train")
    key = _content_key(sorted(folder.glob("train-*.parquet")))
    words = cache_dir() / f"imdb-{key}.tokeniser.json"
    tokeniser, train = _train_part(data, words, cache_dir() / f"imdb-{key}-train.safetensors")

    def load_test() -> Examples:
        if not any(folder.glob("test-*.parquet")):
            read_split(data, "imdb", "test")
        test_key = _content_key(sorted(folder.glob("test-*.parquet")))
        path = cache_dir() / f"imdb-{key}-test-{test_key}.safetensors"
        return _cached(path) or _encoded(tokeniser, read_split(data, "imdb", "test"), path)

    return Task(
        name="imdb",
        kind="text",
        classes=CLASSES,
        shape=(),
        train=train,
        load_test=load_test,
        default_net="linear",
        source="IMDB reviews (Maas et al. 2011), Hugging Face parquet",
        tokeniser=tokeniser,
        max_tokens=MAX_TOKENS,
        validation=validation_part(train.y),
    )


def _train_part(data: Path, words: Path, tokens: Path) -> tuple[tokenizers.Tokenizer, Examples]:
    """Return the tokeniser and the training reviews, from the cache or made and put there."""
    kept = _cached(tokens)
    if kept is not None and words.is_file():
        return load_tokeniser(words), kept
    table = read_split(data, "imdb", "train")
    tokeniser = train_tokeniser(table["text"])
    save_tokeniser(tokeniser, words)
    return tokeniser, _encoded(tokeniser, table, tokens)


def _encoded(tokeniser: tokenizers.Tokenizer, table: dict[str, list[Any]], path: Path) -> Examples:
    """Tokenise a table of reviews and keep the result."""
    texts, y = table["text"], torch.tensor(table["label"], dtype=torch.int64)
    if len(y) == 0 or int(y.min()) < 0 or int(y.max()) >= len(CLASSES):
        raise DDCoreError("the imdb files hold no reviews or labels other than 0 and 1: delete them and run again")
    x = encode(tokeniser, texts)
    save_tensors(path, {"values": x.values, "offsets": x.offsets, "y": y})
    return Examples(x, y)


def _cached(path: Path) -> Examples | None:
    """Return token ids from the cache; None if they are not there or cannot be read, for then they are made anew."""
    try:
        tensors, _ = load_tensors(path)
        return Examples(Tokens(tensors["values"], tensors["offsets"]), tensors["y"])
    except (DDCoreError, KeyError):
        return None


def _content_key(paths: Sequence[Path]) -> str:
    """Return a short name for the bytes of some files and the tokeniser's rules."""
    digest = hashlib.blake2b(f"{RULES} {tokenizers.__version__}".encode(), digest_size=8)
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()
