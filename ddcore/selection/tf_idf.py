"""Features of texts that need no training: weighted words, in their leading directions."""

import torch
from torch import Tensor

from ddcore.data import UNKNOWN, Tokens

DIRECTIONS = 256


def tf_idf(x: Tokens) -> Tensor:
    """Return features of N texts: ``(N, D)`` float32, D at most `DIRECTIONS`. The same texts give the same features.

    Each text is a vector of ``(1 + log n) idf`` over its words, n being how often it holds a word, scaled to length 1;
    its features are the vector's parts along the leading singular directions of all of them.

    Source: Deerwester et al. 1990, latent semantic analysis, by scikit-learn.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [x.sequence(i).tolist() or [UNKNOWN] for i in range(len(x))]
    weighted = TfidfVectorizer(analyzer=list, sublinear_tf=True).fit_transform(texts)
    directions = TruncatedSVD(min(DIRECTIONS, *weighted.shape), random_state=0)
    return torch.from_numpy(directions.fit_transform(weighted)).float()
