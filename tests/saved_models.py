"""Classes that the tests save and load; a saved class must be importable by name."""

from seldon import Extension, Recommender


class SimpleRecommender(Recommender):
    """The one of the original package's own tests."""

    def __init__(self):
        self.res = [(1, 0.8), (2, 0.7)]

    def recommend(self, user, ids, recent_interactions, client, limit):
        return self.res


class Favourites(Recommender):
    def __init__(self, boost=1.0):
        self.boost = boost

    def fit(self, scores, seen):
        self.scores = scores
        self.seen = seen
        return self

    def recommend(self, user, ids, recent_interactions, client, limit):
        return [(item, self.boost * self.scores.get(item, 0)) for item in ids]


class OwnFiles(Recommender):
    """Strings its paths together and returns nothing from `load`, as old code does."""

    def save(self, folder):
        with open(folder + "/text", "w") as stream:
            stream.write(self.text)

    def load(self, folder):
        with open(folder + "/text") as stream:
            self.text = stream.read()


class Doubling(Extension):
    def __init__(self, factor=2):
        self.factor = factor

    def predict(self, input={}):  # noqa: B006 as documented
        return {"result": self.factor * input["x"], "given": input}
