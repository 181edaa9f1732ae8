"""Tasks of texts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ddcore.data.examples import Examples
from ddcore.data.source_texts import SourceTexts
from ddcore.data.task import Scale, Task, cache_dir, validation_part
from ddcore.data.tokeniser import SPECIAL, encode, load_tokeniser, save_tokeniser, train_tokeniser
from ddcore.data.tokens import Tokens
from ddcore.errors import DDCoreError, require
from ddcore.runtime import load_tensors, save_tensors

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TOKENS = 512
# Part of the cache key: count up when the tokeniser's rules change.
RULES = "words 2"


@dataclass(frozen=True)
class Texts:
    """A data set's texts before they are tokenised.

    Attributes:
        read: gives the texts and class numbers ``(N,)`` int64 of ``train`` or ``test``; called if the cache has none.
        key: identifies the content of ``train`` or ``test``; called when that part is asked for.
    """

    read: Callable[[str], tuple[Sequence[str], Tensor]]
    key: Callable[[str], str]


def text_task(name: str, classes: tuple[str, ...], texts: Texts, source: str, content: str = "") -> Task:
    """Return a `Task` of texts; the vocabulary comes from the training set only.

    Token ids are cached, so that only the first stage tokenises.

    Args:
        name: of the data set.
        classes: a readable name for each class.
        texts: to tokenise.
        source, content: see `Task`.

    Raises:
        UsageError: the training texts share no words.
    """
    key = texts.key("train")
    vocabulary = cache_dir() / f"{name}-{key}.tokeniser.json"
    tokeniser, train = _training_set(texts, vocabulary, cache_dir() / f"{name}-{key}-train.safetensors")

    def read_again() -> Sequence[str]:
        changed = f"the training texts of {name} have changed since this stage began: start it again with --fresh"
        require(texts.key("train") == key, changed, DDCoreError)
        return texts.read("train")[0]

    def load_test() -> Examples:
        path = cache_dir() / f"{name}-{key}-test-{texts.key('test')}.safetensors"
        return _cached(path) or _encoded(tokeniser, *texts.read("test"), path)

    return Task(
        name=name,
        classes=classes,
        shape=(),
        train=replace(train, source=SourceTexts(read_again)),
        load_test=load_test,
        default_net="linear" if len(classes) == 2 else "bag",
        scale=Scale(max_tokens=MAX_TOKENS),
        source=source,
        content=content,
        tokeniser=tokeniser,
        validation=validation_part(train.y),
    )


def _training_set(texts: Texts, vocabulary: Path, tokens: Path) -> tuple[Tokenizer, Examples]:
    """Return the tokeniser and the training texts from the cache; if they are missing, compute and cache them.

    Raises:
        UsageError: no word occurs twice.
    """
    cached = _cached(tokens)
    if cached is not None:
        with suppress(DDCoreError):  # a damaged tokeniser is trained again
            return load_tokeniser(vocabulary), cached
    lines, y = texts.read("train")
    tokeniser = train_tokeniser(lines)
    require(
        tokeniser.get_vocab_size() > len(SPECIAL),
        "no word occurs twice in the training texts, so that nothing can be learned from them: bring more texts",
    )
    save_tokeniser(tokeniser, vocabulary)
    return tokeniser, _encoded(tokeniser, lines, y, tokens)


def _encoded(tokeniser: Tokenizer, texts: Sequence[str], y: Tensor, path: Path) -> Examples:
    """Tokenise texts and cache the result."""
    x = encode(tokeniser, texts)
    save_tensors(path, {"values": x.values, "offsets": x.offsets, "y": y})
    return Examples(x, y)


def _cached(path: Path) -> Examples | None:
    """Return token ids from the cache; None if they are missing or cannot be read, because they are then recomputed."""
    try:
        tensors, _ = load_tensors(path)
        return Examples(Tokens(tensors["values"], tensors["offsets"]), tensors["y"])
    except (DDCoreError, KeyError):
        return None


def cache_key(parts: Iterable[bytes]) -> str:
    """Return a short digest of the content of some files and of the tokeniser's rules."""
    digest = hashlib.blake2b(f"{RULES} {metadata.version('tokenizers')}".encode(), digest_size=8)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
