"""A network small enough to learn within seconds."""

from seldon.slirec.hyperparameters import Hyperparameters

SMALL = {
    "item_embedding_dim": 12,
    "cate_embedding_dim": 4,
    "hidden_size": 16,
    "att_fcn_layer_sizes": [16, 8],
    "layer_sizes": [16, 8],
    "batch_size": 100,
    "max_seq_length": 10,
    "learning_rate": 0.01,
    "epochs": 4,
}


def small(**values):
    return Hyperparameters.of({**SMALL, **values})
