"""Features of texts that need no training: weighted words, in their leading directions."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ddcore.data import UNKNOWN, Tokens

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DIRECTIONS = 256
MOST = 100_000
"""Texts of a pool that the directions are computed from."""
CHUNK = 10_000


def tf_idf(x: Tokens, pool: Tensor) -> Tensor:
    """Return features of N texts: ``(N, D)`` float32, D at most `DIRECTIONS`. The same texts give the same features.

    Each text is a vector of ``(1 + log n) idf`` over its words, n being how often it holds a word, scaled to length 1;
    its features are the vector's parts along the leading singular directions of the pool's. The weights and the
    directions of a pool of more than `MOST` texts come from `MOST` of them, at equal distances.

    Args:
        x: the texts.
        pool: ``(P,)`` int64, those that the weights of the words and the directions come from.

    Source: Deerwester et al. 1990, latent semantic analysis, by scikit-learn.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

    if len(pool) > MOST:
        pool = pool[torch.arange(MOST) * len(pool) // MOST]
    words = np.unique(np.append(x[pool].values.numpy(), [UNKNOWN] if int(x.lengths[pool].min()) == 0 else []))
    fitted = counts(x[pool], words)
    weights = TfidfTransformer(sublinear_tf=True).fit(fitted)
    fitted = weights.transform(fitted)
    directions = TruncatedSVD(min(DIRECTIONS, *fitted.shape), random_state=0).fit(fitted)
    parts = (weights.transform(counts(x[rows], words)) for rows in torch.arange(len(x)).split(CHUNK))
    return torch.cat([torch.from_numpy(directions.transform(part)).float() for part in parts])


def counts(x: Tokens, words: np.ndarray) -> "csr_matrix":
    """Return how often each text holds each of the words ``(W,)``, which are sorted: ``(N, W)`` float64.

    An empty text holds the unknown word once.
    """
    from scipy.sparse import csr_matrix

    lengths = x.lengths.numpy()
    ids, ends = (
        np.insert(x.values.numpy(), x.offsets[1:].numpy()[lengths == 0], UNKNOWN),
        np.maximum(lengths, 1).cumsum(),
    )
    places = np.searchsorted(words, ids).clip(max=len(words) - 1)
    known = words[places] == ids
    starts = np.append(0, known.cumsum())[np.append(0, ends)]
    table = csr_matrix((np.ones(len(places))[known], places[known], starts), shape=(len(x), len(words)))
    table.sum_duplicates()
    return table
