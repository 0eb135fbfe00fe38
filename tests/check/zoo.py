"""Algorithms to check: good ones in every style, and bad ones that do one thing wrong each."""

GOOD = {
    "the documented one": """
        import random
        def get_recommendations(user_id, client, recent, data_set, limit):
            rng = random.Random(user_id)
            scores = {item: rng.random() for item in sorted(data_set)}
            return dict(sorted(scores.items(), key=lambda pair: -pair[1])[:limit])
        """,
    "pairs": """
        def get_recommendations(user_id, client, recent, data_set, limit):
            best = sorted(data_set, reverse=True)[:limit]
            return [(item, 1 / (1 + rank)) for rank, item in enumerate(best)]
        """,
    "two arrays": """
        import numpy as np
        from seldon.scores import top_n
        def catalogue():
            return np.arange(1, 3001)
        def get_recommendations(user_id, client, recent, data_set, limit):
            return top_n(data_set.ids, (data_set.ids * 7919 % 1009).astype(np.float32), limit)
        """,
    "a generator": """
        def get_recommendations(user_id, client, recent, data_set, limit):
            for item in sorted(data_set)[:limit]:
                yield item, 0.5
        """,
    "what it asks for by name": """
        def init(mc, config):
            global limit_ms
            limit_ms = config["ALGORITHM_BUDGET_MS"]
        def get_recommendations(user_id, client, recent, data_set, limit, item_id, dimensions=()):
            assert limit_ms > 0 and list(dimensions) == [0]
            mine = sorted(data_set.difference(recent))[:limit]
            return {item: float(item_id is None) for item in mine}
        """,
    "a set of its own": """
        def get_recommendations(user_id, client, recent, data_set, limit):
            for item in recent:
                data_set.discard(item)
            return {data_set.pop(): 1.0 for _ in range(min(limit, len(data_set)))}
        """,
}

# name: (the checks it fails, part of the reason, source)
BAD = {
    "too many": (
        {"limit"},
        "1000 entries for limit=10",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            return {item: 1.0 / item for item in data_set}
        """,
    ),
    "recommends what was seen": (
        {"candidates", "exclusions", "unusual requests"},
        "are not in data_set",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            best = list(dict.fromkeys([*recent, *sorted(data_set)]))
            return {item: 1.0 for item in best[:limit]}
        """,
    ),
    "ignores the candidates": (
        {"candidates", "exclusions", "unusual requests"},
        "for example",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            return [(item, 1.0) for item in range(1, limit + 1)]
        """,
    ),
    "ignores exclusions only": (
        {"exclusions", "unusual requests"},
        "excluded items",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            everything = data_set._list.ids.tolist()
            return {item: 1.0 for item in everything[:limit]}
        """,
    ),
    "texts for ids": (
        {"types", "unusual requests"},
        "are not an integer id and a number",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            best = sorted(data_set)[:limit]
            return {(str(item) if n == 1 else item): 1.0 for n, item in enumerate(best)}
        """,
    ),
    "only texts": (
        {"answers", "types", "unusual requests"},
        "nothing was recommended",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            return {str(item): 1.0 for item in sorted(data_set)[:limit]}
        """,
    ),
    "ids without scores": (
        {"answers", "types", "unusual requests"},
        "nothing was recommended",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            return sorted(data_set)[:limit]
        """,
    ),
    "not a number": (
        {"finite scores", "unusual requests"},
        "are NaN or infinite",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            scores = [(item, 1.0) for item in sorted(data_set)[:limit]]
            return scores[:-1] + [(item, float("nan")) for item, _ in scores[-1:]]
        """,
    ),
    "infinite": (
        {"finite scores", "unusual requests"},
        "for example of item",
        """
        import numpy as np
        def get_recommendations(user_id, client, recent, data_set, limit):
            ids = data_set.ids[:limit]
            with np.errstate(divide="ignore"):
                return ids, 1 / np.arange(len(ids))
        """,
    ),
    "twice the same": (
        {"duplicates"},
        "is answered 2 times",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            best = sorted(data_set)[:max(1, limit - 1)]
            return [(item, 1.0) for item in best + best[:limit > 1]]
        """,
    ),
    "worst first": (
        {"order"},
        "pairs and arrays must be best first",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            best = sorted(data_set)[:limit]
            return [(item, rank + 1.0) for rank, item in enumerate(best)]
        """,
    ),
    "cuts before it sorts": (
        {"order"},
        "it cuts before it sorts",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            some = sorted(data_set)[:limit]
            return {item: item * 7919 % 1009 for item in some}
        """,
    ),
    "empty": (
        {"answers"},
        "nothing was recommended",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            return {}
        """,
    ),
    "none": (
        None,
        "answered NoneType",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            pass
        """,
    ),
    "raises": (
        None,
        "raised ZeroDivisionError: division by zero in line 3 when asked for",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            return {1: 1 / 0}
        """,
    ),
    "leaves": (
        None,
        "raised SystemExit: 3",
        """
        import sys
        def get_recommendations(user_id, client, recent, data_set, limit):
            sys.exit(3)
        """,
    ),
    "needs a history": (
        {"unusual requests"},
        "raised IndexError: list index out of range in line 4",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            best = sorted(data_set)[:limit]
            last = recent[0]
            return {item: 1.0 for item in best}
        """,
    ),
    "needs candidates": (
        {"unusual requests"},
        "asked for no candidates",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            most = max(data_set)
            return {item: item / most for item in sorted(data_set, reverse=True)[:limit]}
        """,
    ),
    "writes into what others share": (
        {"arguments"},
        "it writes into data_set.ids",
        """
        def get_recommendations(user_id, client, recent, data_set, limit):
            ids = data_set._list.ids
            best = ids[:limit].tolist()
            ids.flags.writeable = True
            ids[-1:] += 1
            return {item: 1.0 for item in best if item in data_set}
        """,
    ),
    "forgets its seed": (
        {"seed"},
        "the same request got two answers with RANDOM_SEED=0",
        """
        import random
        def get_recommendations(user_id, client, recent, data_set, limit):
            best = sorted(data_set)[:limit]
            return {item: random.random() for item in best}
        """,
    ),
    "seeds by the clock": (
        {"seed"},
        "after a restart the same request got another answer",
        """
        import itertools, time
        seed = time.time_ns() % 10_007
        def get_recommendations(user_id, client, recent, data_set, limit):
            best = sorted(data_set, key=lambda item: -(item * seed % 10_007))[:limit]
            return [(item, item * seed % 10_007) for item in best]
        """,
    ),
    "catalogue of names": (
        {"catalogue"},
        "catalogue() raised ValueError",
        """
        def catalogue():
            return ["first", "second"]
        def get_recommendations(user_id, client, recent, data_set, limit):
            return {item: 1.0 for item in sorted(data_set)[:limit]}
        """,
    ),
    "catalogue it does not know": (
        {"answers", "catalogue"},
        "nothing was recommended",
        """
        def catalogue():
            return range(1, 100)
        def get_recommendations(user_id, client, recent, data_set, limit):
            return {item: 1.0 for item in sorted(data_set)[:limit] if 1000 < item < 10_000}
        """,
    ),
}

# name: (part of the reason, source)
UNLOADABLE = {
    "no function": ("has no function get_recommendations", "def recommend(): pass"),
    "too few parameters": (
        "must take (user_id, client, recent, data_set, limit)",
        "def get_recommendations(user_id, limit): pass",
    ),
    "a parameter nobody knows": (
        "must take (user_id, client, recent, data_set, limit)",
        "def get_recommendations(user_id, client, recent, data_set, limit, weather): pass",
    ),
    "does not import": ("does not import: ModuleNotFoundError", "import no_such_module"),
    "does not parse": ("does not import: SyntaxError", "def get_recommendations(:"),
    "init raises": (
        "init(mc, config) raised KeyError: 'NO_SETTING' in line 2",
        "def init(mc, config):\n    config['NO_SETTING']\ndef get_recommendations(*a): return {}",
    ),
}
