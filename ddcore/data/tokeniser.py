"""A word-level tokeniser: trained on the training texts, reversible, small enough to be stored with a set."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
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
# Han, Hiragana, Katakana, Thai, Lao, Burmese and Khmer have no blanks between words: there a character is a word.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
WIDE_MARKS = "。，、；：！？（）「」『』《》【】"
CHARACTER = rf"[{UNSPACED}]\p{{M}}*|(?:(?![{UNSPACED}])\w)+(?:'(?:(?![{UNSPACED}])\w)+)*|[^\w\s]"
LARGEST = 2**17
CHUNK = 2000


def train_tokeniser(texts: Sequence[str], rarest: int = 2) -> Tokenizer:
    """Return a tokeniser whose ids order the words of `texts` by falling frequency, after padding (0) and unknown (1).

    Texts are lower-cased and ``<br />`` is removed; a punctuation mark is a word. Where a text is written in a script
    without blanks, such as Chinese or Japanese, each of its characters is a word.

    Args:
        texts: of the training set only.
        rarest: words that occur fewer times are unknown.
    """
    from tokenizers import trainers

    tokeniser = _built({}, CHARACTER if any(re.search(f"[{UNSPACED}]", text) for text in texts) else WORD)
    trainer = trainers.WordLevelTrainer(
        vocab_size=LARGEST, min_frequency=rarest, special_tokens=list(SPECIAL), show_progress=False
    )
    tokeniser.train_from_iterator(texts, trainer)
    return tokeniser


def _built(vocabulary: dict[str, int], pattern: str) -> Tokenizer:
    """Return a tokeniser with these ids; `pattern` is `WORD` or `CHARACTER`."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    tokeniser = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=SPECIAL[1]))
    tokeniser.normalizer = normalizers.Sequence([normalizers.Replace("<br />", " "), normalizers.Lowercase()])
    tokeniser.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True)
    return tokeniser


def spaced(text: str) -> str:
    """Return a text with blanks around each character of the scripts that have none between words."""
    return re.sub(f"([{UNSPACED}])", r" \1 ", text)


def encode(tokeniser: Tokenizer, texts: Sequence[str]) -> Tokens:
    """Return the ids of all texts."""
    chunks = (texts[begin : begin + CHUNK] for begin in range(0, len(texts), CHUNK))
    return Tokens.of(encoding.ids for chunk in chunks for encoding in tokeniser.encode_batch_fast(list(chunk)))


def readable(tokeniser: Tokenizer, x: Tokens) -> Iterator[str]:
    """Yield each sequence as text: words separated by blanks, no blank before a punctuation mark.

    Characters of scripts without blanks are joined.
    """
    for i in range(len(x)):
        text = " ".join(tokeniser.id_to_token(token) or SPECIAL[1] for token in x.sequence(i).tolist())
        text = re.sub(f"(?<=[{UNSPACED}{WIDE_MARKS}]) (?=[{UNSPACED}{WIDE_MARKS}])", "", text)
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
    """Return the tokeniser that `save_tokeniser` wrote; only its words and ids are taken from the file.

    Raises:
        DDCoreError: the file is missing or damaged, or holds another kind of tokeniser.
    """
    require(path.is_file(), f"{path} is missing", DDCoreError)
    try:
        parts = json.loads(path.read_text(encoding="utf-8"))
        vocabulary, pattern = parts["model"]["vocab"], parts["pre_tokenizer"]["pattern"]["Regex"]
        numbers = {number: word for word, number in vocabulary.items() if type(number) is int}
        if [numbers[k] for k in range(len(vocabulary))][:2] != list(SPECIAL) or pattern not in (WORD, CHARACTER):
            raise ValueError("another kind of tokeniser")
        tokeniser = _built(vocabulary, pattern)
    # What json says of damaged text, and what is missing or of another type in it, has no common base.
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DDCoreError(f"{path} is damaged: it is not a tokeniser's JSON as ddcore writes it") from error
    tokeniser.add_special_tokens(list(SPECIAL))
    return tokeniser
