"""Serve the Iris pipeline over gRPC with a request message of its own.

    cd examples/iris
    python -m seldon.microservice rpc --pipeline ../../var/iris/model --model_name iris \\
        --handler handler:IrisDataHandler --port 5001

iris_pb2.py is made of iris.proto by: python -m grpc_tools.protoc -I. --python_out=. iris.proto
"""

import iris_pb2
import pandas as pd

from seldon.errors import InvalidParameter
from seldon.microservice.rpc import CustomDataHandler


class IrisDataHandler(CustomDataHandler):
    def getData(self, request):
        message = iris_pb2.IrisPredictRequest()
        if not request.data.Unpack(message):
            raise InvalidParameter(f"data is a {request.data.TypeName()}, not an Iris request")
        return pd.DataFrame(
            [{"f1": message.f1, "f2": message.f2, "f3": message.f3, "f4": message.f4}]
        )
