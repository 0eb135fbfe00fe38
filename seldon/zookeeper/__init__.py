"""A Seldon server's configuration in ZooKeeper: which algorithm serves which client."""

from seldon.zookeeper.store import Active, Node, Strategies, ZooKeeperUnavailable, active

__all__ = ["Active", "Node", "Strategies", "ZooKeeperUnavailable", "active"]
