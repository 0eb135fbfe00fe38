"""Checks of what an algorithm answers: the contract of ``get_recommendations``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from seldon.candidates import NO_IDS, CandidateList, Candidates
from seldon.check.report import Failed, Skipped
from seldon.check.subject import UNKNOWN, Request, Subject, same


def check_answers(subject: Subject) -> str:
    """It answers something."""
    answered = [one for one in subject.usual if len(one.ids)]
    if not answered:
        raise Failed(
            f"nothing was recommended in {len(subject.usual)} requests of 1,000 candidates; "
            "if it only knows ids of its own, define catalogue() that returns them"
        )
    return f"{len(answered)} of {len(subject.usual)} requests got recommendations"


def check_types(subject: Subject) -> str:
    """Ids are integers, scores are numbers."""
    for one in subject.usual:
        wrong = one.dropped.get("not an (item, score) pair", 0)
        if wrong:
            raise Failed(
                f"{wrong} entries of {_sample(one.raw)} are not an integer id and a number; "
                f"asked for {one.request}"
            )
    return _form(subject.usual[0].raw)


def check_finite(subject: Subject) -> str:
    """Scores are neither NaN nor infinite."""
    for one in subject.usual:
        wrong = one.ids[~np.isfinite(one.scores)]
        number = len(wrong) + one.dropped.get("not finite", 0)
        if number:
            item = f", for example of item {wrong[0]}," if len(wrong) else ""
            raise Failed(f"{number} scores{item} are NaN or infinite; asked for {one.request}")
    scores = np.concatenate([one.scores for one in subject.usual])
    return f"scores from {scores.min():.3g} to {scores.max():.3g}" if len(scores) else ""


def check_limit(subject: Subject) -> str:
    """No more than `limit` entries."""
    for one in subject.usual:
        number = len(one.ids) + sum(one.dropped.values())
        if number > one.request.limit:
            raise Failed(
                f"{number} entries for limit={one.request.limit}; the service cuts them, and all "
                "of them were made for nothing"
            )
    return "limits 1, 10 and 1000 are kept"


def check_candidates(subject: Subject) -> str:
    """Only candidates are recommended."""
    for one in subject.usual:
        request = one.request
        outside = one.ids[~Candidates(request.candidates).holds(one.ids)]
        if len(outside):
            raise Failed(
                f"{len(outside)} items, for example {outside[0]}, are not in data_set; "
                f"asked for {request}"
            )
    return ""


def check_exclusions(subject: Subject) -> str:
    """Excluded items, which are not in `data_set`, are not recommended."""
    for one in subject.usual:
        excluded = one.ids[np.isin(one.ids, list(one.request.exclusions))]
        if len(excluded):
            raise Failed(
                f"{len(excluded)} excluded items, for example {excluded[0]}, are recommended; they "
                f"are not in data_set; asked for {one.request}"
            )
    return ""


def check_duplicates(subject: Subject) -> str:
    """No item comes twice."""
    for one in subject.usual:
        ids, times = np.unique(one.ids, return_counts=True)
        if (times > 1).any():
            raise Failed(
                f"item {ids[times > 1][0]} is answered {times.max()} times; asked for {one.request}"
            )
    return ""


def check_order(subject: Subject) -> str:
    """Best first, and the best of all, not of those met first."""
    for one in subject.usual:
        if not isinstance(one.raw, Mapping) and (np.diff(one.scores) > 0).any():
            at = int(np.flatnonzero(np.diff(one.scores) > 0)[0])
            raise Failed(
                f"entry {at} has score {one.scores[at]:.6g}, the next {one.scores[at + 1]:.6g}; "
                "pairs and arrays must be best first (a dict has no order)"
            )
    few = subject.usual[0]
    most = subject.ask(replace(few.request, about="as many as there are", limit=1000))
    known = dict(zip(most.ids.tolist(), most.scores.tolist(), strict=True))
    pairs = list(zip(few.ids.tolist(), few.scores.tolist(), strict=True))
    if not pairs or any(known.get(item, score) != score for item, score in pairs):
        return ""  # scores that depend on the limit, as random ones do, cannot be compared
    better = [
        item for item, score in known.items() if score > min(few.scores) and item not in few.ids
    ]
    if better:
        raise Failed(
            f"with limit=10 item {better[0]} (score {known[better[0]]:.6g}) is missing though "
            f"{min(few.scores):.6g} was recommended: it cuts before it sorts"
        )
    return "a lower limit gives the best of a higher one"


def check_unusual(subject: Subject) -> str:
    """Requests at the edge are answered, within the contract."""
    usual = subject.usual[0].request
    own = subject.some(3)
    requests = [
        replace(usual, about="an unknown user", user_id=-1, recent=()),
        replace(usual, about="no recent interactions", recent=()),
        replace(usual, about="recent items that nobody knows", recent=[UNKNOWN, UNKNOWN + 1]),
        replace(usual, about="the same recent item twice", recent=[*own, *own]),
        replace(usual, about="100 recent items", recent=subject.some(100)),
        replace(usual, about="a client that nobody knows", client="Ünknown client"),
        replace(usual, about="more than there are", limit=1000, candidates=subject.candidates(7)),
        Request("one candidate", CandidateList(np.array(own[:1], np.int64)), recent=own),
        Request("the greatest ids there are", CandidateList(2**63 - 1 - np.arange(5)[::-1])),
        Request("ids that nobody knows", CandidateList(UNKNOWN + np.arange(50))),
        Request("no candidates", CandidateList(NO_IDS), recent=own),
        Request("every candidate excluded", CandidateList(np.unique(own)), exclusions=own),
    ]
    for request in requests:
        one = subject.ask(request)
        allowed = Candidates(request.candidates, request.exclusions).holds(one.ids)
        if not allowed.all():
            raise Failed(f"item {one.ids[~allowed][0]} is not in data_set; asked for {request}")
        if one.dropped or not np.isfinite(one.scores).all():
            raise Failed(f"{_sample(one.raw)} has unusable entries; asked for {request}")
    return f"{len(requests)} requests at the edge are answered"


def check_arguments(subject: Subject) -> str:
    """What an algorithm is given stays as it was: other requests have it too."""
    request = replace(subject.usual[0].request, about="1,000 candidates, watched")
    before = request.candidates.ids.copy()
    mask_before = request.candidates.ids.flags.writeable
    subject.call(request)
    if not np.array_equal(request.candidates.ids, before):
        raise Failed(
            "it writes into data_set.ids, which every request with the same candidates shares; "
            "work on a copy"
        )
    if request.candidates.ids.flags.writeable != mask_before:
        raise Failed("it changes the flags of data_set.ids, which other requests share")
    return ""


def check_seed(subject: Subject) -> str:
    """With RANDOM_SEED set, the same request gets the same answer, also after a restart."""
    request = subject.usual[0].request
    seed = subject.settings["RANDOM_SEED"]
    if not subject.repeats_itself:
        raise Failed(
            f"the same request got two answers with RANDOM_SEED={seed}; draw random numbers from "
            "a generator made of config['RANDOM_SEED'] and the request"
        )
    subject.ask(subject.usual[-1].request)
    again = subject.ask(request, subject.load())
    if not same(subject.usual[0], again):
        raise Failed(
            f"after a restart the same request got another answer with RANDOM_SEED={seed}; "
            "is it seeded by the clock, or does an answer depend on the requests before?"
        )
    return f"RANDOM_SEED={seed} gives the same answers again"


def check_catalogue(subject: Subject) -> str:
    """Without candidates of the caller's, its own are recommended."""
    try:
        own = subject.algorithm.catalogue()
    except BaseException as error:
        raise Failed(
            f"catalogue() raised {type(error).__name__}: {error}; it must return integer ids"
        ) from error
    if not len(own.ids):
        raise Skipped("no catalogue(): a request without candidates gets an empty list")
    one = subject.ask(Request("its catalogue", own, recent=subject.some(3)))
    if not len(one.ids):
        raise Failed(f"its own {len(own.ids)} ids as candidates: nothing was recommended")
    return f"{len(own.ids)} ids of its own"


def _form(raw: object) -> str:
    if isinstance(raw, Mapping):
        return "a dict"
    return "two arrays" if isinstance(raw, tuple) and _is_array(raw) else "pairs"


def _is_array(raw: tuple[object, ...]) -> bool:
    return len(raw) == 2 and isinstance(raw[0], np.ndarray)


def _sample(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 60 else text[:57] + "…"
