"""Reading and writing the strategies of a Seldon server's clients in ZooKeeper."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from seldon.errors import InvalidParameter, MissingExtra, SeldonError
from seldon.zookeeper import checks, documents

CLIENTS = "/all_clients"
DEFAULT_STRATEGY = "/config/default_strategy"
LARGEST_NODE = 1_000_000
"""Bytes; ZooKeeper refuses a request over 1,048,575 bytes, path and header included."""

_T = TypeVar("_T")
_Call = Callable[..., Any]
_IN_LINE = ("alg_test", "alg_rectags", "algs")


class ZooKeeperUnavailable(SeldonError):
    """ZooKeeper did not answer in time."""

    status = 503


@dataclass(frozen=True)
class Node:
    """What stands at one node, and what the server makes of it.

    Attributes
    ----------
    path : str
    content : bytes or None
        None where there is no such node.
    version : int
        ZooKeeper's, ``-1`` where there is no such node.
    document : dict or None
        None where the node is missing, or is not a JSON object.
    problem : str
        Why the server refuses it; empty when it does not.
    """

    path: str
    content: bytes | None = None
    version: int = -1
    document: dict[str, Any] | None = None
    problem: str = ""

    @property
    def usable(self) -> bool:
        return self.document is not None and not self.problem


@dataclass(frozen=True)
class Active:
    """The strategy that decides for a client.

    Attributes
    ----------
    node : Node or None
        None when the client has no strategy at all.
    reason : str
        Why this one and not another.
    """

    node: Node | None
    reason: str


class Strategies:
    """The strategies of a Seldon server's clients, kept in ZooKeeper.

    Use it in a `with` statement.

    Parameters
    ----------
    hosts : str
        ``host:port``, several joined by commas.
    timeout : float
        Seconds for connecting, and again for each method, retries included.
    session : float
        Seconds; ZooKeeper's session timeout.

    Raises
    ------
    ZooKeeperUnavailable
        No answer within `timeout`.
    MissingExtra
        kazoo is not installed.
    """

    def __init__(self, hosts: str, timeout: float = 10, session: float = 10) -> None:
        try:
            from kazoo.client import KazooClient
            from kazoo.exceptions import KazooException, NoNodeError
            from kazoo.retry import KazooRetry
        except ImportError as error:
            raise MissingExtra("kazoo", "zookeeper") from error
        # kazoo logs every failed attempt; the error this class raises says it once.
        quiet = logging.getLogger("seldon.zookeeper.kazoo")
        quiet.setLevel(logging.CRITICAL)
        self._hosts, self._timeout = hosts, timeout
        self._failure, self._missing = KazooException, NoNodeError
        self._retry = KazooRetry
        try:
            self._zookeeper = KazooClient(hosts, timeout=session, logger=quiet)
        except ValueError as error:
            raise InvalidParameter(f"--zookeeper={hosts!r} must be host:port: {error}") from error

    def __enter__(self) -> Self:
        try:
            self._zookeeper.start(self._timeout)
        except self._zookeeper.handler.timeout_exception as error:
            self._close()
            raise ZooKeeperUnavailable(
                f"no ZooKeeper answers at {self._hosts} within {self._timeout} s; "
                "is it running, and is --zookeeper right?"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def clients(self) -> list[str]:
        """Names of the server's clients, sorted."""
        found = self._ask(lambda call: call("get_children", CLIENTS))
        return sorted(found or [])

    def nodes(self, client: str) -> dict[str, Node]:
        """What there is for `client`, by name of the node; also the ``default_strategy``.

        Raises
        ------
        InvalidParameter
            The server has no such client.
        """
        self._require(client)
        return self._ask(lambda call: self._nodes(client, call))

    def publish(self, client: str, strategy: Mapping[str, Any], *, create: bool = False) -> Node:
        """Make `strategy` the one that decides for `client`.

        An algorithm config goes to the node ``algs``, unless the client has ``alg_rectags``,
        which wins: then it becomes that node's ``defaultStrategy`` and the other tags stay.
        Variations always go to ``alg_rectags``; so does a document with a ``defaultStrategy``,
        which replaces that node whole.

        Parameters
        ----------
        client : str
        strategy : mapping
            See `algorithm_config` and `variations` in `seldon.zookeeper.documents`; checked by
            `seldon.zookeeper.checks` before it is written.
        create : bool
            Make the client's node when there is none.

        Returns
        -------
        Node
            What stood there before.

        Raises
        ------
        InvalidParameter
            The server would refuse it, it has no such client, or somebody else wrote the same
            node at the same moment.
        """
        checks.check_document(strategy)
        self._require(client, create=create)
        done: list[Node] = []  # what stood before, once a write was sent: it may have arrived

        def work(call: _Call) -> Node:
            before, document = _destination(self._nodes(client, call), strategy)
            content = documents.write_document(document)
            if len(content) > LARGEST_NODE:
                raise InvalidParameter(
                    f"{before.path}: the strategy has {len(content)} bytes, ZooKeeper takes "
                    f"{LARGEST_NODE}"
                )
            if before.content == content:
                return done[0] if done else before
            done[:1] = [before]
            if before.content is None:
                call("create", before.path, content, makepath=True)
            else:
                call("set", before.path, content, version=before.version)
            return before

        return self._ask(work)

    def unpublish(self, client: str, *, force: bool = False) -> Node:
        """Remove the node that `publish` wrote, so that the next one in line decides.

        Parameters
        ----------
        client : str
        force : bool
            Remove it also when it calls no external service, when the server refuses it, or when
            it holds strategies for recommendation tags.

        Returns
        -------
        Node
            What stood there.
        """
        nodes = self.nodes(client)
        node = nodes["alg_rectags"] if nodes["alg_rectags"].content is not None else nodes["algs"]
        if node.content is None:
            raise InvalidParameter(f"client {client!r} has no strategy of its own to remove")
        reason = _reason_to_keep(node)
        if reason and not force:
            raise InvalidParameter(f"{node.path} {reason}; --force removes it all the same")

        self._ask(lambda call: call("delete", node.path, version=node.version))
        return node

    def _require(self, client: str, *, create: bool = False) -> None:
        if not re.fullmatch(r"[^/\x00-\x1f\x7f-\x9f\s]{1,256}", client) or client in (".", ".."):
            raise InvalidParameter(f"client={client!r} cannot be the name of a client")
        if create:
            self._ask(lambda call: call("ensure_path", f"{CLIENTS}/{client}"))
        elif client not in (known := self.clients()):
            raise InvalidParameter(
                f"the Seldon server has no client {client!r}{checks.nearest(client, known)}; "
                "set it up there first, or use --create"
            )

    def _nodes(self, client: str, call: _Call) -> dict[str, Node]:
        paths = {name: f"{CLIENTS}/{client}/{name}" for name in ("alg_test_switch", *_IN_LINE)}
        paths["default_strategy"] = DEFAULT_STRATEGY
        return {name: _read(name, path, call("get", path)) for name, path in paths.items()}

    def _ask(self, work: Callable[[_Call], _T]) -> _T:
        """Run `work` until it gets through, again after a lost connection, for `timeout` seconds.

        It must be safe to run twice: of a write on a lost connection nobody knows whether it
        arrived.
        """
        kazoo, deadline = self._zookeeper, time.monotonic() + self._timeout

        def call(name: str, path: str, *arguments: object, **options: object) -> Any:
            left = max(0.05, deadline - time.monotonic())
            pending = getattr(kazoo, f"{name}_async")(path, *arguments, **options)
            try:
                return pending.get(timeout=left)
            except self._missing:
                if name in ("get", "get_children", "delete"):
                    return None
                raise

        retry = self._retry(max_tries=-1, delay=0.1, max_delay=1, deadline=self._timeout)
        try:
            answer: _T = retry(work, call)
            return answer
        except kazoo.handler.timeout_exception as error:
            raise ZooKeeperUnavailable(
                f"ZooKeeper at {self._hosts} stopped answering; whether it took a change is not "
                "known: look with show"
            ) from error
        except self._failure as error:
            kind = type(error).__name__
            if kind in ("BadVersionError", "NodeExistsError", "NoNodeError"):
                raise InvalidParameter(
                    "somebody else changed the node at the same moment; look with show, try again"
                ) from error
            raise ZooKeeperUnavailable(f"ZooKeeper at {self._hosts}: {kind} {error}") from error

    def _close(self) -> None:
        self._zookeeper.stop()
        self._zookeeper.close()


def active(nodes: Mapping[str, Node]) -> Active:
    """Which of a client's nodes decides, and why; in the order the server asks them.

    A node the server refuses counts as missing. That is what a server that starts now does;
    one that was running when the node went bad still has the last good version.
    """
    passed: list[str] = []
    switch = switched_on(nodes["alg_test_switch"])
    for name in (*_IN_LINE, "default_strategy"):
        node = nodes[name]
        if name == "alg_test" and not switch:
            passed.append("alg_test_switch is not on")
        elif node.content is None:
            passed.append(f"there is no {name}")
        elif node.problem:
            passed.append(f"the server refuses {name}")
        else:
            return Active(node, f"{name}: {', '.join([*passed, 'so it decides'])}")
    return Active(None, f"nothing: {', '.join(passed)}; the server recommends nothing")


def switched_on(node: Node) -> bool:
    """Whether ``alg_test_switch`` reads as on; exactly the words the server knows, no blanks."""
    return (node.content or b"").lower() in (b"true", b"on", b"yes", b"t", b"y")


def _destination(
    nodes: Mapping[str, Node], strategy: Mapping[str, Any]
) -> tuple[Node, Mapping[str, Any]]:
    """The node to write, and what: where there is ``alg_rectags`` the server ignores ``algs``."""
    tagged = nodes["alg_rectags"]
    if "defaultStrategy" in strategy:
        return tagged, strategy
    if tagged.content is None and "variations" not in strategy:
        return nodes["algs"], strategy
    if tagged.problem:
        raise InvalidParameter(
            f"{tagged.path} wins over algs, but the server refuses it: {tagged.problem}; "
            "unpublish it first"
        )
    tags = (tagged.document or {}).get("recTagToStrategy", {})
    return tagged, {"defaultStrategy": strategy, "recTagToStrategy": tags}


def _read(name: str, path: str, found: tuple[bytes, Any] | None) -> Node:
    if found is None or (name == "default_strategy" and not found[0].strip()):
        return Node(path)
    content, version = found[0], int(found[1].version)
    if name == "alg_test_switch":
        return Node(path, content, version)
    try:
        document = documents.read_document(content)
    except InvalidParameter as error:
        return Node(path, content, version, None, str(error))
    try:
        checks.CHECKS[name](document, name)
    except InvalidParameter as error:
        return Node(path, content, version, document, str(error))
    return Node(path, content, version, document)


def _reason_to_keep(node: Node) -> str:
    if not node.usable:
        return f"is not one that this command writes ({node.problem})"
    document = node.document or {}
    if document.get("recTagToStrategy"):
        return f"also holds strategies for the tags {sorted(document['recTagToStrategy'])}"
    if documents.EXTERNAL.encode() not in (node.content or b""):
        return "calls no external service"
    return ""
