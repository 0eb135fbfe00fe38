"""Ask the Iris service over gRPC, as the Seldon server does.

python examples/iris/client.py --port 5001 4.6 3.2 1.4 0.2
"""

import argparse

import grpc
import iris_pb2

from seldon.rpc import seldon_pb2, seldon_pb2_grpc


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask the Iris service over gRPC.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5001)
    parser.add_argument("features", nargs=4, type=float)
    arguments = parser.parse_args()

    request = seldon_pb2.ClassificationRequest()
    names = ("f1", "f2", "f3", "f4")
    features = dict(zip(names, arguments.features, strict=True))
    request.data.Pack(iris_pb2.IrisPredictRequest(**features))
    with grpc.insecure_channel(f"{arguments.host}:{arguments.port}") as channel:
        reply = seldon_pb2_grpc.SeldonStub(channel).Classify(request, timeout=5)
    print(f"model {reply.meta.modelName}")
    for result in reply.predictions:
        print(f"{result.predictedClass}: {result.prediction:.4f}")


if __name__ == "__main__":
    main()
