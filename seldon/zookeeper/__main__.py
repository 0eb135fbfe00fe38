"""Tell a Seldon server which algorithm a client uses: `python -m seldon.zookeeper --help`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from seldon.errors import InvalidParameter, SeldonError
from seldon.zookeeper import checks, documents
from seldon.zookeeper.store import CLIENTS, LARGEST_NODE, Node, Strategies, active


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m seldon.zookeeper`; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.timeout <= 0:
            raise InvalidParameter(f"--timeout={options.timeout} must be above 0")
        status: int = options.run(options)
    except (SeldonError, OSError) as error:
        print(f"seldon.zookeeper: {error}", file=sys.stderr)
        return 1
    return status


def _publish(options: argparse.Namespace) -> int:
    strategy = _strategy(options)
    for advice in checks.check_document(strategy):
        print(f"note: {advice}", file=sys.stderr)
    if options.dry_run:
        print(json.dumps(strategy, indent=1, default=float))
        return 0
    with Strategies(options.zookeeper, options.timeout) as zookeeper:
        before = zookeeper.publish(options.client, strategy, create=options.create)
        print(f"{before.path} {'written' if before.content is None else 'replaced; it was:'}")
        if before.content is not None:
            print(_printable(before.content))
        decides = active(zookeeper.nodes(options.client))
    print(f"active: {decides.reason}")
    if decides.node is None or decides.node.path != before.path:
        print(
            f"note: {before.path} does not decide yet: switch the test off in alg_test_switch",
            file=sys.stderr,
        )
    return 0


def _show(options: argparse.Namespace) -> int:
    with Strategies(options.zookeeper, options.timeout) as zookeeper:
        clients = [options.client] if options.client else zookeeper.clients()
        found = {client: zookeeper.nodes(client) for client in clients}
    if options.json:
        print(json.dumps({client: _summary(nodes) for client, nodes in found.items()}, indent=1))
        return 0
    if not found:
        print(f"there is no client under {CLIENTS}")
    for client, nodes in found.items():
        decides = active(nodes)
        print(f"{ascii(client)[1:-1]}: {decides.reason}")
        for node in nodes.values():
            if node.problem:
                print(f"  refused {node.path}: {node.problem}")
        if options.client and decides.node is not None:
            print(json.dumps(decides.node.document, indent=1, default=float))
    return 0


def _unpublish(options: argparse.Namespace) -> int:
    with Strategies(options.zookeeper, options.timeout) as zookeeper:
        node = zookeeper.unpublish(options.client, force=options.force)
        print(f"{node.path} removed; it was:")
        print(_printable(node.content or b""))
        print(f"active: {active(zookeeper.nodes(options.client)).reason}")
    return 0


def _strategy(options: argparse.Namespace) -> dict[str, Any]:
    """What the command line describes: a file, one service, or variations of services."""
    if (options.url is not None) + bool(options.variation) + (options.file is not None) != 1:
        raise InvalidParameter("give one of --url, --file, or --variation once or more")
    if options.file is not None:
        size = options.file.stat().st_size
        if size > LARGEST_NODE:
            raise InvalidParameter(f"{options.file} has {size} bytes, a node takes {LARGEST_NODE}")
        return documents.read_document(options.file.read_bytes())
    if options.url is not None:
        return _service(options, options.name, options.url)
    parts = []
    for text in options.variation:
        label, first, rest = text.partition("=")
        ratio, second, url = rest.partition("=")
        try:
            share = Decimal(ratio)
        except InvalidOperation:
            share = Decimal("NaN")
        if not (first and second and share.is_finite()):
            raise InvalidParameter(f"--variation={text!r} must be LABEL=RATIO=URL")
        parts.append((label, share, _service(options, label, url)))
    return documents.variations(parts)


def _service(options: argparse.Namespace, name: str, url: str) -> dict[str, Any]:
    """An algorithm config that asks the service at `url`, then the algorithms of ``--then``."""
    config: dict[str, object] = {
        documents.URL: url,
        documents.NAME: name,
        documents.ITEMS_PER_INCLUDER: options.items_per_includer,
    }
    if options.recent_actions_to_filter is not None:
        config[documents.ACTIONS_TO_FILTER] = options.recent_actions_to_filter
    includers = options.includer or documents.INCLUDERS[:1]
    service = documents.algorithm(documents.EXTERNAL, config, includers, options.filter)
    others = [documents.algorithm(other) for other in options.then]
    return documents.algorithm_config([service, *others], options.combiner, options.diversity_level)


def _summary(nodes: Mapping[str, Node]) -> dict[str, Any]:
    decides = active(nodes)
    return {
        "active": decides.node and decides.node.path,
        "reason": decides.reason,
        "strategy": json.loads(json.dumps(decides.node and decides.node.document, default=float)),
        "refused": {node.path: node.problem for node in nodes.values() if node.problem},
    }


def _printable(content: bytes) -> str:
    """A node's content for a terminal: no control characters, whoever wrote it."""
    return ascii(content.decode("utf-8", "replace"))[1:-1].replace("\\'", "'")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seldon.zookeeper",
        description="Publish this service as a client's recommendation algorithm.",
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--zookeeper",
        default="127.0.0.1:2181",
        metavar="HOST:PORT",
        help="several joined by commas; default: %(default)s",
    )
    shared.add_argument(
        "--timeout", type=float, default=10, metavar="SECONDS", help="default: %(default)s"
    )
    commands = parser.add_subparsers(required=True, metavar="publish | show | unpublish")

    publish = commands.add_parser(
        "publish", parents=[shared], help="make a service the client's algorithm"
    )
    publish.set_defaults(run=_publish)
    publish.add_argument("--client", required=True, help="as the Seldon server knows it")
    publish.add_argument("--url", help="of the service: http://host:5000/recommend")
    publish.add_argument(
        "--variation",
        action="append",
        default=[],
        metavar="LABEL=RATIO=URL",
        help="instead of --url: one of several services that share the users",
    )
    publish.add_argument(
        "--file",
        type=Path,
        help="instead of --url: a strategy as JSON, as the other commands print it",
    )
    publish.add_argument(
        "--name", default="seldon-recommender", help="in the server's logs; default: %(default)s"
    )
    publish.add_argument(
        "--includer",
        action="append",
        metavar="NAME",
        help=f"where candidates come from: {', '.join(documents.INCLUDERS)}; again for more; "
        "default: the first",
    )
    publish.add_argument(
        "--items-per-includer", type=int, default=1000, metavar="N", help="default: %(default)s"
    )
    publish.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="NAME",
        help="for example tagAffinityFilter",
    )
    publish.add_argument(
        "--recent-actions-to-filter", type=int, metavar="N", help="the server's default is 10"
    )
    publish.add_argument(
        "--then",
        action="append",
        default=[],
        metavar="ALGORITHM",
        help="an algorithm of the server to ask when the service gives too little, "
        "for example recentItemsRecommender; again for more",
    )
    publish.add_argument(
        "--combiner", default=documents.COMBINERS[0], metavar="NAME", help="default: %(default)s"
    )
    publish.add_argument("--diversity-level", type=float, metavar="X", help="default: 1.0")
    publish.add_argument("--create", action="store_true", help="also when the client is unknown")
    publish.add_argument("--dry-run", action="store_true", help="check and print, write nothing")

    show = commands.add_parser(
        "show", parents=[shared], help="which strategy decides for a client, and why"
    )
    show.set_defaults(run=_show)
    show.add_argument("--client", help="default: all, one line each")
    show.add_argument("--json", action="store_true", help="for programs")

    unpublish = commands.add_parser(
        "unpublish", parents=[shared], help="remove what publish wrote; prints it first"
    )
    unpublish.set_defaults(run=_unpublish)
    unpublish.add_argument("--client", required=True)
    unpublish.add_argument("--force", action="store_true", help="whatever the node holds")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
