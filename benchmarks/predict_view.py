"""The service that `benchmarks.predict` measures."""

import os

from seldon.microservice import Microservices

app = Microservices().create_prediction_microservice(os.environ["PIPELINE"], "iris")
