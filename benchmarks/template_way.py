"""The way of the original template, written anew: what this service is compared with.

A pool of pylibmc clients, `json.loads`, a `set`, a score for every candidate in a dict, a full
sort, `jsonify`. RULE in the environment chooses the scoring: random, or the same item similarity
as `recent_similarity`, in Python.
"""

import json
import os
import random
from collections import defaultdict

import pylibmc
from flask import Flask, jsonify, request

app = Flask(__name__)
pool = pylibmc.ClientPool(pylibmc.Client([os.environ["SERVER"]]), 4)
neighbours = {}


def random_scores(recent, data_set):
    return {item: random.random() for item in data_set}


def similarity(recent, data_set):
    scores = defaultdict(float)
    for item in set(recent):
        for other, score in neighbours.get(item, ()):
            if other in data_set:
                scores[other] += score
    return scores


if os.environ["RULE"] == "similarity":
    from seldon.item_cosine import item_cosine
    from seldon.reading import read_interactions

    found = item_cosine(read_interactions(os.environ["EVENTS"])[0])
    ids = found.items.ids.tolist()
    columns, values = found.columns.tolist(), found.similarity.tolist()
    bounds = found.offsets.tolist()
    for row, item in enumerate(ids):
        part = slice(bounds[row], bounds[row + 1])
        neighbours[item] = list(zip([ids[c] for c in columns[part]], values[part], strict=True))
    rule = similarity
else:
    rule = random_scores


@app.get("/recommend")
def recommend():
    recent = [int(i) for i in request.args["recent_interactions"].split(",") if i]
    excluded = {int(i) for i in request.args["exclusion_items"].split(",") if i}
    with pool.reserve(block=True) as client:
        data_set = set(json.loads(client.get(request.args["data_key"]))) - excluded
    scores = sorted(rule(recent, data_set).items(), key=lambda pair: pair[1], reverse=True)
    best = scores[: int(request.args["limit"])]
    return jsonify({"recommended": [{"item": item, "score": score} for item, score in best]})
