"""A small Recommender for tests of folders, versions and swaps."""

from pathlib import Path

import numpy as np

from seldon.base import Recommender


class Constant(Recommender):
    """Scores every candidate with one number; carries `size` bytes of ballast."""

    def __init__(self, score: float, size: int = 8) -> None:
        self.score = score
        self.size = size

    def recommend(self, user, ids, recent_interactions, client, limit):
        return [(item, float(self.scores[0])) for item in ids]

    def save(self, folder):
        np.save(Path(folder) / "scores.npy", np.full(self.size // 8, self.score))

    def load(self, folder):
        self.scores = np.load(Path(folder) / "scores.npy", mmap_mode="r", allow_pickle=False)
        return self
