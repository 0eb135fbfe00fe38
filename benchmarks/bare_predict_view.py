"""The peer of `benchmarks.predict`: a saved pipeline called in a Flask view, and nothing else."""

import json
import os

import pandas as pd
from flask import Flask, jsonify, request

from seldon.pipeline import load_pipeline

pipeline = load_pipeline(os.environ["PIPELINE"])
app = Flask(__name__)


@app.get("/predict")
def predict():
    frame = pd.DataFrame([json.loads(request.args["json"])])
    probabilities = pipeline.predict_proba(frame)[0]
    return jsonify(
        predictions=[
            {"score": probability, "classId": name, "confidence": probability}
            for name, probability in zip(pipeline.classes_, probabilities.tolist(), strict=True)
        ]
    )
