"""Train a pipeline on the Iris events and save it.

python examples/iris/train.py --events var/iris/events --models var/iris/model
python -m seldon.microservice predict --pipeline var/iris/model --model_name iris
curl -G http://127.0.0.1:5000/predict --data-urlencode 'json={"f1":4.6,"f2":3.2,"f3":1.4,"f4":0.2}'
"""

import argparse

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from seldon.pipeline.auto_transforms import AutoTransform
from seldon.pipeline.basic_transforms import FeatureIdTransform
from seldon.pipeline.util import PipelineWrapper
from seldon.sklearn_estimator import SKLearnClassifier
from seldon.xgb import XGBoostClassifier

TARGET = {"target": "nameId", "target_readable": "name", "excluded": ["name"]}
CLASSIFIERS = {
    "sklearn": lambda: SKLearnClassifier(LogisticRegression(max_iter=500), **TARGET),
    "xgboost": lambda: XGBoostClassifier(**TARGET),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a pipeline on the Iris events.")
    parser.add_argument("--events", required=True, help="folder of JSON events")
    parser.add_argument("--models", required=True, help="folder to save the pipeline to")
    parser.add_argument("--classifier", choices=CLASSIFIERS, default="sklearn")
    arguments = parser.parse_args()

    wrapper = PipelineWrapper()
    events = wrapper.create_dataframe_from_files([arguments.events])
    pipeline = Pipeline(
        [
            (
                "name to number",
                FeatureIdTransform("name", "nameId", zero_based=True, exclude_missing=True),
            ),
            ("scale", AutoTransform(exclude=["nameId", "name"])),
            ("classify", CLASSIFIERS[arguments.classifier]()),
        ]
    )
    pipeline.fit(events)
    wrapper.save_pipeline(pipeline, arguments.models)
    print(f"saved in {arguments.models}")


if __name__ == "__main__":
    main()
