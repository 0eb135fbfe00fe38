"""What the columns of delimited events hold, and what can be wrong with a record."""

from __future__ import annotations

from dataclasses import dataclass

ITEM_ID_LIMIT = 450
USER_ID_LIMIT = 255
BLANK, ACCEPTED = 0, 1
FAULTS = (
    "",
    "",
    "MalformedLine",
    "MissingFields",
    "BadTimestampFormat",
    "BadWeightFormat",
    "ItemIdTooLong",
    "UnknownItemId",
    "UserIdTooLong",
    "IllegalCharactersInUserId",
)
WARNINGS = ("UnknownItemId",)
STATUS = {name: code for code, name in enumerate(FAULTS) if name}


@dataclass(frozen=True)
class Layout:
    """Which column holds what; columns count from 0.

    Attributes
    ----------
    user, item : int
    time : int or None
        None, or a line too short to have it: the time is `now`.
    event_type, weight : int or None
        A weight that is there wins over a type's; neither is 1.
    separator : str
        One ASCII character.
    header : bool
        The first line that is not blank names the columns and is skipped.
    contract : bool
        The rules of the Product Recommendations usage file: only dates as times, user ids of
        letters, digits, ``-`` and ``_``, weights that cannot be read count as absent.
        Otherwise seconds or milliseconds since 1970 are times too, any character may stand in
        an id, and a weight that is not a number is a `BadWeightFormat`.
    """

    user: int = 0
    item: int = 1
    time: int | None = 2
    event_type: int | None = 3
    weight: int | None = 4
    separator: str = ","
    header: bool = False
    contract: bool = True


USAGE = Layout()
