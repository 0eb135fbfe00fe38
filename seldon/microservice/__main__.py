"""``python -m seldon.microservice``: start a service from a saved model."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from flask import Flask

from seldon.errors import InvalidSetting, SeldonError
from seldon.microservice.factory import Microservices

EXAMPLES = """\
examples:
  python -m seldon.microservice recommend --recommender models/popular
  python -m seldon.microservice recommend --recommender s3://bucket/models/popular \\
      --memcache_servers cache1:11211,cache2:11211
  python -m seldon.microservice predict --pipeline models/iris --model_name iris
  python -m seldon.microservice rpc --pipeline models/iris --model_name iris --port 5001

Every setting of recommender_config.py can be given as an environment variable, for example
SELDON_LOG_LEVEL=WARNING; `python -m seldon.config` lists them.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit status is 2 for arguments and models that cannot be used."""
    arguments = _parser().parse_args(argv)
    sys.path.insert(0, os.getcwd())  # modules of --import and --handler stand beside the caller
    try:
        for module in arguments.imports:
            _imported(module)
        arguments.start(arguments)
    except SeldonError as error:
        print(f"seldon.microservice: {error}", file=sys.stderr)
        return 2
    return 0


def recommend(arguments: argparse.Namespace) -> None:
    _serve(
        arguments,
        lambda services: services.create_recommendation_microservice(
            arguments.recommender, arguments.memcache_servers, arguments.memcache_pool_size
        ),
    )


def predict(arguments: argparse.Namespace) -> None:
    _serve(
        arguments,
        lambda services: services.create_prediction_microservice(
            arguments.pipeline, arguments.model_name, wire=arguments.wire
        ),
    )


def extension(arguments: argparse.Namespace) -> None:
    _serve(arguments, lambda services: services.create_extension_microservice(arguments.extension))


def rpc(arguments: argparse.Namespace) -> None:
    handler = None
    if arguments.handler:
        module, _, name = arguments.handler.partition(":")
        found = getattr(_imported(module), name, None)
        if not callable(found):
            raise InvalidSetting(f"--handler {arguments.handler!r}: {module} has no class {name!r}")
        handler = found()
    names = ["host", "port", "workers", "certificate", "key", "client_certificates"]
    names += ["max_message_bytes", "metrics_port"]
    options = {name: getattr(arguments, name) for name in names}
    _services(arguments).create_prediction_rpc_microservice(
        arguments.pipeline, arguments.model_name, handler, **options
    )


def _serve(arguments: argparse.Namespace, create: Callable[[Microservices], Flask]) -> None:
    from seldon.microservice.serving import serve

    serve(lambda: create(_services(arguments)), arguments.host, arguments.port, arguments.workers)


def _services(arguments: argparse.Namespace) -> Microservices:
    trusted = {digest.lower() for digest in arguments.trusted}
    return Microservices(
        aws_key=arguments.aws_key, aws_secret=arguments.aws_secret, trusted=trusted or False
    )


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InvalidSetting(f"cannot import {module!r}: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seldon.microservice",
        description="Start a service from a saved model. Stop it with Ctrl-C or SIGTERM.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="services", required=True, metavar="SERVICE")

    command = _command(commands, "recommend", recommend, "GET /recommend from a saved recommender")
    command.add_argument(
        "--recommender",
        required=True,
        metavar="LOCATION",
        help="what seldon.save_recommender wrote: a folder, or s3://…, gs://…",
    )
    command.add_argument(
        "--memcache_servers",
        "--memcache-servers",
        metavar="HOST:PORT,…",
        help="where the Seldon server keeps candidate lists, in the order of its own "
        "configuration; without it callers send candidates in the body of a POST",
    )
    command.add_argument(
        "--memcache_pool_size",
        "--memcache-pool-size",
        type=int,
        default=2,
        metavar="N",
        help="connections to each memcached server in each process (2)",
    )

    command = _command(commands, "predict", predict, "GET /predict from a saved pipeline")
    _add_pipeline(command)
    command.add_argument(
        "--wire",
        choices=["documented", "server"],
        default="documented",
        help="names in the answer: score and classId, as documented, or prediction and "
        "predictedClass, as the Seldon server of the last release reads them (documented)",
    )

    command = _command(commands, "rpc", rpc, "gRPC Classify from a saved pipeline")
    _add_pipeline(command)
    command.add_argument(
        "--handler",
        metavar="MODULE:CLASS",
        help="a CustomDataHandler for request messages of your own",
    )
    command.add_argument("--certificate", metavar="PEM", help="serve TLS with this certificate")
    command.add_argument("--key", metavar="PEM", help="and this private key")
    command.add_argument(
        "--client_certificates",
        "--client-certificates",
        metavar="PEM",
        help="ask clients for a certificate of one of these authorities",
    )
    command.add_argument(
        "--max_message_bytes",
        "--max-message-bytes",
        type=int,
        default=4 * 2**20,
        metavar="N",
        help="longest request (4 MiB)",
    )

    command.add_argument(
        "--metrics_port",
        "--metrics-port",
        type=int,
        metavar="N",
        help="port of Prometheus' /metrics, over plain HTTP (none)",
    )

    command = _command(commands, "extension", extension, "GET /extension from a saved extension")
    command.add_argument(
        "--extension",
        required=True,
        metavar="LOCATION",
        help="what seldon.save_extension wrote: a folder, or s3://…, gs://…",
    )
    return parser


def _command(
    commands: Any, name: str, start: Callable[[argparse.Namespace], None], text: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(start=start)
    command.add_argument(
        "--host",
        default="[::]" if name == "rpc" else "0.0.0.0",
        help="address to listen at (all; 127.0.0.1 for this machine only)",
    )
    command.add_argument("--port", type=int, default=5000, help="port to listen at (5000)")
    what, number = ("threads", 10) if name == "rpc" else ("processes", 2)
    command.add_argument(
        "--workers", type=int, default=number, metavar="N", help=f"{what} that answer ({number})"
    )
    command.add_argument(
        "--aws_key",
        "--aws-key",
        metavar="KEY",
        help="for s3:// locations; better in the variable AWS_ACCESS_KEY_ID, because other "
        "users of this machine can see arguments",
    )
    command.add_argument(
        "--aws_secret", "--aws-secret", metavar="SECRET", help="likewise AWS_SECRET_ACCESS_KEY"
    )
    command.add_argument(
        "--trusted",
        action="append",
        default=[],
        metavar="SHA256",
        help="read a pickle of the original Seldon package if this is its digest; it runs the "
        "code that is in it; may be repeated",
    )
    command.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="MODULE",
        help="import a module of yours first, for the classes it marks with "
        "@seldon.pipeline.trust; may be repeated",
    )
    return command


def _add_pipeline(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model_name", "--model-name", required=True, metavar="NAME", help="name of the model"
    )
    command.add_argument(
        "--pipeline",
        required=True,
        metavar="LOCATION",
        help="what PipelineWrapper.save_pipeline wrote: a folder, or s3://…, gs://…",
    )


if __name__ == "__main__":
    sys.exit(main())
