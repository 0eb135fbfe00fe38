"""`CandidateStore`: from memcached keys to `CandidateList`, parsed once, never stale."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from seldon.candidate_lists import UnreadableList, read_list
from seldon.candidates import NO_IDS, CandidateList
from seldon.memcache import Memcache, Unchanged, Value


@dataclass(frozen=True)
class Found:
    """What a request's keys led to.

    Attributes
    ----------
    candidates : CandidateList
        The union of the lists; empty when no key holds one.
    source : str
        ``"memcached"`` (parsed for this request), ``"cache"`` (unchanged since an earlier
        one), ``"miss"`` (no key holds a list) or ``"bad"`` (a value is not a list).
    cut : bool
        More than ``most`` ids were there.
    problems : tuple of str
        Why a value could not be read.
    """

    candidates: CandidateList
    source: str
    cut: bool = False
    problems: tuple[str, ...] = ()


@dataclass
class _Entry:
    """A value that was read: its bytes, what they say, and the versions known for it."""

    flags: int
    data: bytes | bytearray
    candidates: CandidateList | None
    cut: bool
    problem: str
    versions: dict[int, int] = field(default_factory=dict)
    checked: float = 0.0

    @property
    def size(self) -> int:
        ids = self.candidates.ids.nbytes if self.candidates else 0
        return 512 + len(self.data) + 2 * ids  # the mask and set derived of it, roughly


class CandidateStore:
    """Reads candidate lists; asks memcached every time, parses only what changed.

    Parameters
    ----------
    memcache : Memcache
    most_bytes : int
        Memory for values and parsed lists; the longest unused go first.
    most_ids : int
        Ids read of one request's lists.
    trust_seconds : float
        A list is used this long without asking; 0 asks always.
    """

    def __init__(
        self, memcache: Memcache, most_bytes: int, most_ids: int, trust_seconds: float = 0
    ) -> None:
        self.memcache = memcache
        self._most_bytes = most_bytes
        self._most_ids = most_ids
        self._trust_seconds = trust_seconds
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._unions: OrderedDict[tuple[int, ...], CandidateList] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes in use, estimated."""
        return self._bytes

    def get(self, keys: Sequence[bytes], deadline: float) -> Found:
        """The candidates under `keys`.

        Parameters
        ----------
        keys : sequence of bytes
            Valid by `seldon.memcache.check_key`.
        deadline : float
            On the clock of `time.monotonic`.

        Raises
        ------
        CandidatesUnavailable
        """
        entries, fresh = [], False
        for key in keys:
            entry, is_new = self._entry(key, deadline)
            fresh = fresh or is_new
            if entry is not None:
                entries.append(entry)
        problems = tuple(entry.problem for entry in entries if entry.problem)
        lists = [entry.candidates for entry in entries if entry.candidates is not None]
        if not lists:
            return Found(CandidateList(NO_IDS), "bad" if problems else "miss", False, problems)
        candidates, cut = lists[0], any(entry.cut for entry in entries)
        if len(lists) > 1:
            candidates = self._union(lists)
            if len(candidates.ids) > self._most_ids:
                candidates, cut = CandidateList(candidates.ids[-self._most_ids :]), True
        return Found(candidates, "memcached" if fresh else "cache", cut, problems)

    def _entry(self, key: bytes, deadline: float) -> tuple[_Entry | None, bool]:
        """The entry of `key` as memcached has it now, and whether it had to be parsed."""
        entry = self._entries.get(key)
        now = time.monotonic()
        if entry is not None and now < entry.checked + self._trust_seconds:
            return entry, False
        value = self.memcache.fetch(key, entry.versions if entry else {}, deadline)
        if value is None:
            self._drop(key)
            return None, False
        if entry is not None:
            same = isinstance(value, Unchanged)
            if isinstance(value, Value) and (value.flags, value.data) == (entry.flags, entry.data):
                # Another connection, or a server that cannot tell versions: same content.
                same = True
                _know(entry, value)
            if same:
                entry.checked = now
                self._touch(key)
                return entry, False
        assert isinstance(value, Value)
        entry = self._parsed(value)
        entry.checked = now
        self._keep(key, entry)
        return entry, True

    def _parsed(self, value: Value) -> _Entry:
        try:
            parsed = read_list(value.flags, value.data, self._most_ids)
        except UnreadableList as error:
            entry = _Entry(value.flags, value.data, None, False, str(error))
        else:
            candidates = CandidateList(parsed.ids)
            entry = _Entry(value.flags, value.data, candidates, parsed.cut, "")
        _know(entry, value)
        return entry

    def _union(self, lists: list[CandidateList]) -> CandidateList:
        serials = tuple(sorted(candidates.serial for candidates in lists))
        union = self._unions.get(serials)
        if union is None:
            union = CandidateList(np.unique(np.concatenate([each.ids for each in lists])))
            with self._lock:
                self._unions[serials] = union
                while len(self._unions) > 16:
                    self._unions.popitem(last=False)
        return union

    def _keep(self, key: bytes, entry: _Entry) -> None:
        with self._lock:
            old = self._entries.pop(key, None)
            self._bytes += entry.size - (old.size if old else 0)
            self._entries[key] = entry
            while self._bytes > self._most_bytes and self._entries:
                _, dropped = self._entries.popitem(last=False)
                self._bytes -= dropped.size

    def _touch(self, key: bytes) -> None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)

    def _drop(self, key: bytes) -> None:
        with self._lock:
            old = self._entries.pop(key, None)
            self._bytes -= old.size if old else 0


def _know(entry: _Entry, value: Value) -> None:
    if value.version is not None:
        if len(entry.versions) > 64:  # connections come and go
            entry.versions.clear()
        connection, number = value.version
        entry.versions[connection] = number
