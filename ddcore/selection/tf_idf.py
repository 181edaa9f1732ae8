"""Features of texts that need no training: weighted words, in their leading directions."""

import torch
from torch import Tensor

from ddcore.data import UNKNOWN, Tokens

DIRECTIONS = 256


def tf_idf(x: Tokens, pool: Tensor) -> Tensor:
    """Return features of N texts: ``(N, D)`` float32, D at most `DIRECTIONS`. The same texts give the same features.

    Each text is a vector of ``(1 + log n) idf`` over its words, n being how often it holds a word, scaled to length 1;
    its features are the vector's parts along the leading singular directions of the pool's.

    Args:
        x: the texts.
        pool: ``(P,)`` int64, those that the weights of the words and the directions come from.

    Source: Deerwester et al. 1990, latent semantic analysis, by scikit-learn.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [x.sequence(i).tolist() or [UNKNOWN] for i in range(len(x))]
    rows = pool.tolist()
    words = TfidfVectorizer(analyzer=list, sublinear_tf=True).fit([texts[i] for i in rows])
    weighted = words.transform(texts)
    directions = TruncatedSVD(min(DIRECTIONS, len(rows), weighted.shape[1]), random_state=0).fit(weighted[rows])
    return torch.from_numpy(directions.transform(weighted)).float()
