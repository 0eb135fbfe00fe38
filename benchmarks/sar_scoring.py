"""What one answer of a SAR model costs, in CPU time of this process.

    python -m benchmarks.sar_scoring --implicit

One user's ten best over all items, and one /recommend with 100,000 candidates and 20 recent
interactions, on a model of 100 neighbours of each item. CPU time, because it does not follow
what else the machine is doing; `implicit` is asked the same in between.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.power_law import power_law_events
from seldon import load_recommender, save_recommender
from seldon.candidates import CandidateList, Candidates
from seldon.interactions import Interactions, Vocabulary
from seldon.sar.model import SARRecommender
from seldon.sar.parameters import TrainingParameters
from seldon.sar.training import train

N_CANDIDATES = 100_000
RECENT = 20


def cpu_times(call: Callable[[int], object], rounds: int) -> np.ndarray:
    """Milliseconds of CPU of each call, after a few that do not count."""
    for number in range(10):
        call(number)
    times = np.empty(rounds)
    for number in range(rounds):
        started = time.process_time_ns()
        call(number)
        times[number] = time.process_time_ns() - started
    return times / 1e6


def report(name: str, times: np.ndarray) -> None:
    low, middle, high = np.percentile(times, [50, 95, 99])
    print(f"  {name:52} p50 {low:.3f} ms   p95 {middle:.3f}   p99 {high:.3f}")


def trained(n_users: int, n_items: int, n_events: int) -> tuple[SARRecommender, Interactions]:
    users, items = power_law_events(n_users, n_items, n_events, np.random.default_rng(1))
    shuffled = np.random.default_rng(2).permutation(n_items).astype(np.int32)
    events = Interactions(
        Vocabulary.of_sorted(np.arange(n_users)),
        Vocabulary.of_sorted(np.arange(n_items)),
        users,
        shuffled[items],
        np.random.default_rng(3).uniform(1.7e9, 1.71e9, n_events),
        np.ones(n_events, np.float32),
    )
    parameters = TrainingParameters(
        support_threshold=2,
        neighbours=100,
        enable_user_affinity=True,
        enable_user_to_item_recommendations=True,
    )
    return train(events, parameters=parameters)[0], events


def one_size(n_users: int, n_items: int, n_events: int, rounds: int, implicit: bool) -> None:
    print(f"{n_users:,} users, {n_items:,} items, {n_events:,} events, 100 neighbours")
    model, events = trained(n_users, n_items, n_events)
    with tempfile.TemporaryDirectory() as folder:
        save_recommender(model, Path(folder) / "model")
        started = time.perf_counter()
        loaded = load_recommender(Path(folder) / "model")
        checked = time.perf_counter()
        load_recommender(Path(folder) / "model", verify=False)
        opened = time.perf_counter()
        assert isinstance(loaded, SARRecommender)
        megabytes = sum(file.stat().st_size for file in Path(folder).rglob("*")) / 2**20
        print(
            f"  load {megabytes:.0f} MiB, checksums compared: {1e3 * (checked - started):.0f} ms, "
            f"not compared: {1e3 * (opened - checked):.1f} ms"
        )
        rng = np.random.default_rng(4)
        users = [str(user) for user in rng.integers(0, n_users, 1000)]
        times = cpu_times(lambda n: loaded.recommend_items([], users[n % 1000], 10), rounds)
        report("ten best of one user over all items, own history", times)
        full = Candidates(CandidateList(np.arange(n_items)))
        ids = rng.choice(n_items, min(N_CANDIDATES, n_items), replace=False)
        candidates = CandidateList(np.unique(ids))
        recents = [rng.choice(n_items, RECENT, replace=False).tolist() for _ in range(1000)]
        times = cpu_times(lambda n: loaded.recommend(-1, full, recents[n % 1000], "", 10), rounds)
        report("ten best over all items, 20 recent interactions", times)
        times = cpu_times(
            lambda n: loaded.recommend(
                -1, Candidates(candidates, recents[n % 1000]), recents[n % 1000], "", 30
            ),
            rounds,
        )
        report(f"/recommend, {len(candidates.ids):,} candidates, 20 recent and excluded", times)
    if implicit:
        _implicit(events, (n_users, n_items), users, rounds)


def _implicit(events: Interactions, shape: tuple[int, int], users: list[str], rounds: int) -> None:
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    matrix = csr_matrix((np.ones(len(events)), (events.user, events.item)), shape=shape).tocsr()
    peer = CosineRecommender(K=100)
    peer.fit(matrix, show_progress=False)

    def ask(number: int) -> object:
        user = int(users[number % 1000])
        return peer.recommend(user, matrix[user], N=10, filter_already_liked_items=True)

    report("implicit: ten best of one user over all items", cpu_times(ask, rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--implicit", action="store_true", help="ask implicit the same")
    options = parser.parse_args()
    one_size(6_000, 3_700, 1_000_000, options.rounds, options.implicit)
    one_size(34_000, 30_000, 3_000_000, options.rounds, options.implicit)
    one_size(100_000, 150_000, 2_000_000, options.rounds, options.implicit)


if __name__ == "__main__":
    main()
