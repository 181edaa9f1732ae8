"""A word-level tokeniser: trained on the training texts, reversible, small enough to be stored with a set."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ddcore.data.tokens import Tokens
from ddcore.errors import DDCoreError, require
from ddcore.runtime import write_atomic

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL = ("[PAD]", "[UNK]")
# A word keeps its inner apostrophes ("don't"); every other sign is a token of its own.
WORD = r"\w+(?:'\w+)*|[^\w\s]"
LARGEST = 2**17
CHUNK = 2000


def train_tokeniser(texts: Iterable[str], rarest: int = 2) -> Tokenizer:
    """Return a tokeniser whose ids order the words of `texts` by falling frequency, after padding (0) and unknown (1).

    Texts are lower-cased and ``<br />`` is removed; a punctuation mark is a word.

    Args:
        texts: of the training set only.
        rarest: words that occur fewer times are unknown.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokeniser = Tokenizer(models.WordLevel(unk_token=SPECIAL[1]))
    tokeniser.normalizer = normalizers.Sequence([normalizers.Replace("<br />", " "), normalizers.Lowercase()])
    tokeniser.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
    trainer = trainers.WordLevelTrainer(
        vocab_size=LARGEST, min_frequency=rarest, special_tokens=list(SPECIAL), show_progress=False
    )
    tokeniser.train_from_iterator(texts, trainer)
    return tokeniser


def encode(tokeniser: Tokenizer, texts: Sequence[str]) -> Tokens:
    """Return the ids of all texts."""
    chunks = (texts[begin : begin + CHUNK] for begin in range(0, len(texts), CHUNK))
    return Tokens.of(encoding.ids for chunk in chunks for encoding in tokeniser.encode_batch_fast(list(chunk)))


def readable(tokeniser: Tokenizer, x: Tokens) -> Iterator[str]:
    """Yield each sequence as text: words separated by blanks, no blank before a punctuation mark."""
    for i in range(len(x)):
        text = " ".join(tokeniser.id_to_token(token) or SPECIAL[1] for token in x.sequence(i).tolist())
        yield re.sub(r"([(\[$#]) ", r"\1", re.sub(r" ([.,;:!?)\]%])", r"\1", text))


def vocabulary_digest(tokeniser: Tokenizer) -> str:
    """Return a short digest of the words of a tokeniser, in the order of their ids."""
    ids = tokeniser.get_vocab()
    words = "\n".join(sorted(ids, key=lambda word: ids[word]))
    return hashlib.blake2b(words.encode(), digest_size=8).hexdigest()


def save_tokeniser(tokeniser: Tokenizer, path: Path) -> None:
    """Write the tokeniser as JSON, atomically.

    Raises:
        DDCoreError: the file cannot be written.
    """
    write_atomic(path, tokeniser.to_str().encode())


def load_tokeniser(path: Path) -> Tokenizer:
    """Return the tokeniser that `save_tokeniser` wrote.

    Raises:
        DDCoreError: the file is missing or damaged.
    """
    from tokenizers import Tokenizer

    require(path.is_file(), f"{path} is missing", DDCoreError)
    try:
        return Tokenizer.from_str(path.read_text())
    except Exception as error:  # the library raises plain Exception
        raise DDCoreError(f"{path} is damaged: it is not a tokeniser's JSON") from error
