"""Text data sets: IMDB, and what all of them share."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import tokenizers
import torch
from torch import Tensor

from ddcore.data.examples import Examples
from ddcore.data.parquet import read_split
from ddcore.data.task import Task, cache_dir, validation_part
from ddcore.data.tokeniser import encode, load_tokeniser, save_tokeniser, train_tokeniser
from ddcore.data.tokens import Tokens
from ddcore.errors import DDCoreError
from ddcore.runtime import load_tensors, save_tensors

CLASSES = ("negative", "positive")
MAX_TOKENS = 512
# Part of the cache's key: count up when the tokeniser's rules change.
RULES = "words 1"


def imdb(data: Path) -> Task:
    """Return IMDB (Maas et al. 2011): 25,000 + 25,000 reviews, through parquet files in the Hugging Face layout.

    Raises:
        DDCoreError: a file is missing and cannot be downloaded, or is damaged.
    """
    folder = data / "imdb" / "plain_text"

    def read(split: str) -> tuple[list[str], Tensor]:
        table = read_split(data, "imdb", split)
        y = torch.tensor(table["label"], dtype=torch.int64)
        if len(y) == 0 or int(y.min()) < 0 or int(y.max()) >= len(CLASSES):
            raise DDCoreError("the imdb files hold no reviews or labels other than 0 and 1: delete them and run again")
        return table["text"], y

    def key(split: str) -> str:
        if not any(folder.glob(f"{split}-*.parquet")):
            read_split(data, "imdb", split)
        return cache_key(path.read_bytes() for path in sorted(folder.glob(f"{split}-*.parquet")))

    source = "IMDB reviews (Maas et al. 2011), Hugging Face parquet"
    return text_task("imdb", CLASSES, read, key("train"), lambda: key("test"), source)


def text_task(
    name: str,
    classes: tuple[str, ...],
    read: Callable[[str], tuple[Sequence[str], Tensor]],
    key: str,
    test_key: Callable[[], str],
    source: str,
    content: str = "",
) -> Task:
    """Return a `Task` around texts. Words and ids come from the training part only.

    Token ids are kept in the cache folder, so that only the first stage tokenises.

    Args:
        name: of the data set.
        classes: a readable name for each class.
        read: gives texts and class numbers ``(N,)`` int64 of ``train`` or ``test``; called where the cache has none.
        key: names the content of the training part.
        test_key: names that of the test part; called when that part is asked for.
        source: see `Task`.
        content: see `Task`.
    """
    words = cache_dir() / f"{name}-{key}.tokeniser.json"
    tokeniser, train = _train_part(read, words, cache_dir() / f"{name}-{key}-train.safetensors")

    def load_test() -> Examples:
        path = cache_dir() / f"{name}-{key}-test-{test_key()}.safetensors"
        return _cached(path) or _encoded(tokeniser, *read("test"), path)

    return Task(
        name=name,
        kind="text",
        classes=classes,
        shape=(),
        train=train,
        load_test=load_test,
        default_net="linear" if len(classes) == 2 else "bag",
        source=source,
        content=content,
        tokeniser=tokeniser,
        max_tokens=MAX_TOKENS,
        validation=validation_part(train.y),
    )


def _train_part(
    read: Callable[[str], tuple[Sequence[str], Tensor]], words: Path, tokens: Path
) -> tuple[tokenizers.Tokenizer, Examples]:
    """Return the tokeniser and the training texts, from the cache or made and put there."""
    kept = _cached(tokens)
    if kept is not None and words.is_file():
        return load_tokeniser(words), kept
    texts, y = read("train")
    tokeniser = train_tokeniser(texts)
    save_tokeniser(tokeniser, words)
    return tokeniser, _encoded(tokeniser, texts, y, tokens)


def _encoded(tokeniser: tokenizers.Tokenizer, texts: Sequence[str], y: Tensor, path: Path) -> Examples:
    """Tokenise texts and keep the result."""
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


def cache_key(parts: Iterable[bytes]) -> str:
    """Return a short name for the content of some files and the tokeniser's rules."""
    digest = hashlib.blake2b(f"{RULES} {tokenizers.__version__}".encode(), digest_size=8)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
