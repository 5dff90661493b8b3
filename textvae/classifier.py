"""Which label a text has: told by its words, apart from every generator, or by what a model makes of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

# Inverse strength of the L2 penalty on standardised numbers. Of 0.003 to 1, on 50 and 200 texts of each class of two
# corpora, the best or as good.
HELD_BACK = 0.01


class Classifier:
    """Logistic regression on words and pairs of words, each by tf-idf.

    Args:
        texts: Real texts.
        labels: The label of each, of at least two.
        seed: Of the solver.

    Reference: the baseline of Wang & Manning 2012, section 2.2, with tf-idf in place of log-count ratios.

    Example:
        >>> judge = Classifier(["good food", "good staff", "bad food", "bad staff"], ["+", "+", "-", "-"], seed=1)
        >>> judge.predict(["a good place", "a bad place"]).tolist()
        ['+', '-']
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[Any] | np.ndarray, *, seed: int) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        self._model: Any = make_pipeline(
            TfidfVectorizer(token_pattern=r"(?u)\w+|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True),
            LogisticRegression(C=4.0, max_iter=1000, class_weight="balanced", random_state=seed))
        self._labels = np.asarray(labels)
        self._model.fit(list(texts), self._labels)

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """The label that it takes each text to have, [texts], of the kind that it was given."""
        return np.asarray(self._model.predict(list(texts))) if len(texts) else self._labels[:0]

    def log_odds(self, texts: Sequence[str]) -> np.ndarray:
        """Of two labels, how sure it is of the one that sorts last: nats, below 0 for the other, float64 [texts]."""
        return np.asarray(self._model.decision_function(list(texts))) if len(texts) else np.zeros(0)


class FeatureClassifier:
    """Logistic regression on numbers, each standardised.

    Args:
        features: What is known of each text, float [texts, numbers].
        labels: The label of each, of at least two.
        seed: Of the solver.

    Example:
        >>> judge = FeatureClassifier(np.array([[1.0, 5.0], [2.0, 6.0], [7.0, 5.5]]), ["+", "+", "-"], seed=1)
        >>> judge.predict(np.array([[8.0, 5.0], [0.0, 6.0]])).tolist()
        ['-', '+']
    """

    def __init__(self, features: np.ndarray, labels: Sequence[Any] | np.ndarray, *, seed: int) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._model: Any = make_pipeline(StandardScaler(), LogisticRegression(
            C=HELD_BACK, max_iter=1000, class_weight="balanced", random_state=seed))
        self._labels = np.asarray(labels)
        self._model.fit(features, self._labels)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The label that it takes each text to have, [texts], of the kind that it was given."""
        return np.asarray(self._model.predict(features)) if len(features) else self._labels[:0]
