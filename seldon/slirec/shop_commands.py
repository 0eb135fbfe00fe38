"""The steps of ``python -m seldon.slirec`` that a shop takes part in."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any

from seldon.errors import InvalidParameter
from seldon.slirec.inventory import (
    InventorySnapshot,
    import_pickled_inventory,
    read_inventory,
    sample_inventory,
    write_inventory,
)


def snapshot_command(options: Namespace) -> None:
    """Write the inventory: the shop's, a pickled one of the showcase, or the sample."""
    path = options.folder / "inventory.json"
    if options.sample:
        inventory = sample_inventory()
        write_inventory(inventory, path)
    elif options.import_pickle:
        inventory = import_pickled_inventory(options.import_pickle)
        write_inventory(inventory, path)
    else:
        from seldon.slirec.shopify import take_snapshot

        ignored = options.ignore_collection
        with _client(options) as client:
            inventory = take_snapshot(client, path, ignored=ignored, report=_progress)
    print(f"{path}: {len(inventory)} products in {len(inventory.by_category)} categories")


def populate_command(options: Namespace) -> None:
    """Create the collections and products of an inventory that the shop does not have yet."""
    from seldon.slirec.shop_filling import populate

    with _client(options) as client:
        done = populate(
            client,
            _inventory(options.inventory),
            publication=None if options.no_publish else options.channel,
            report=_progress,
        )
        print(
            f"{client.shop}: created {done.collections} collections and {done.products} products; "
            f"{done.present} products were there already"
        )


def cleanup_command(options: Namespace) -> None:
    """Delete what populate created, after asking."""
    from seldon.slirec.shop_filling import clean_up, plan_clean_up

    with _client(options) as client:
        inventory = _inventory(options.inventory)
        plan = plan_clean_up(client, inventory, everything=options.everything)
        what = f"{len(plan.products)} products and {len(plan.collections)} collections"
        if not plan.products and not plan.collections:
            print(f"{client.shop}: nothing to delete")
            return
        if not options.yes:
            _confirm(f"Delete {what} of {client.shop}? It cannot be undone.")
        clean_up(client, plan, report=_progress)
        print(f"{client.shop}: deleted {what}")


def _client(options: Namespace) -> Any:
    from seldon.slirec.shopify_api import API_VERSION, ShopifyClient

    return ShopifyClient.from_environment(api_version=options.api_version or API_VERSION)


def _inventory(path: str | None) -> InventorySnapshot:
    return sample_inventory() if path is None else read_inventory(path)


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidParameter(f"{question} Nobody can answer here; --yes says so beforehand.")
    try:
        answer = input(f"{question} Type yes to go on: ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        raise InvalidParameter("nothing was deleted")


def _progress(line: str) -> None:
    print(f"  {line}", file=sys.stderr)
