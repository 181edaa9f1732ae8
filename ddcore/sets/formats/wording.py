"""What stands for each member of a set of texts in the file of another tool."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ddcore.data import UNKNOWN, Task, Tokens, readable, vocabulary_digest
from ddcore.errors import DDCoreError, require
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.views import tokens_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WORDED = "words of its tokens"
"""The entry in the provenance of a set whose texts are no source texts."""


def with_words(small: DistilledSet, tokeniser: Tokenizer | None) -> tuple[DistilledSet, tuple[str, ...]]:
    """Return a set of texts with a text for each member, and a line for the user if these are not source texts.

    Args:
        small: the set; one without source texts gets the words of its tokens, a synthetic one the words nearest to its
            vectors.
        tokeniser: of its ids; needed only for these.

    Raises:
        DDCoreError: the tokeniser is missing, or has other words than the set.
    """
    if small.texts:
        return small, ()
    if tokeniser is None:
        raise DDCoreError("the set holds no source texts, and no tokeniser.json lies beside it to read its tokens with")
    own = small.origin.vocabulary
    same = not own or own == vocabulary_digest(tokeniser)
    require(same, "the tokeniser.json beside the set has other words than the set was made with", DDCoreError)
    texts = tuple(readable(tokeniser, tokens_of(small)))
    line = (
        "its synthetic texts are vectors: the words nearest to them are written, on which networks score otherwise"
        if small.kind == "embeddings"
        else "it holds no source texts, as sets of earlier versions: the words of its tokens are written, in lower case"
    )
    worded = small.described(provenance={WORDED: True})
    return replace(worded, origin=replace(worded.origin, texts=texts)), (line,)


def without_words(small: DistilledSet) -> DistilledSet:
    """Return the set that `with_words` was called with."""
    if WORDED not in small.provenance:
        return small
    provenance = {name: value for name, value in small.provenance.items() if name != WORDED}
    return replace(small, origin=replace(small.origin, provenance=provenance, texts=()))


def reading_lines(x: Tokens, task: Task) -> tuple[str, ...]:
    """Return lines for the user on how networks on a data set's vocabulary read some texts."""
    unknown, long = int((x.values == UNKNOWN).sum()), int((x.lengths > task.max_tokens).sum())
    share = f"{100 * unknown / max(1, len(x.values)):.1f} % of {len(x.values):,} tokens"
    words = f"{share} are not in the vocabulary of {task.name}: its networks read them as unknown words"
    cut = f"{long:,} texts are longer than {task.max_tokens} tokens: networks on {task.name} read no more of them"
    return (words, cut) if long else (words,)
