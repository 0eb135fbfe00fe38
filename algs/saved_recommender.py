"""Any saved `seldon.Recommender`: SAR, SLi-Rec or your own, from the folder RECOMMENDER_MODEL.

A folder with versions is followed: a model promoted there is served without a restart.
"""

from seldon.errors import InvalidSetting
from seldon.live import LiveModel

live = None


def init(mc, config):
    """Load the model; the service does not start without one."""
    global live
    if not config.get("RECOMMENDER_MODEL"):
        raise InvalidSetting("RECOMMENDER_MODEL is empty: name the folder of a saved model")
    live = LiveModel(config["RECOMMENDER_MODEL"])


def get_recommendations(user_id, client, recent, data_set, limit):
    """What the current model answers."""
    return live.get().model.recommend(user_id, data_set, recent, client, limit)


def contributions(user_id, item, recent, client):
    """What each past interaction adds to an item's score, for /explain."""
    return live.get().model.contributions(user_id, item, recent, client)


def catalogue():
    """What the current model can recommend when no candidates are named."""
    return live.get().model.catalogue()


def version():
    """Changes with every byte of the model."""
    return live.get().version
