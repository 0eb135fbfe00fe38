"""One family of errors; each class knows the HTTP status it becomes at a wire."""

from __future__ import annotations


class SeldonError(Exception):
    """Something this package refuses or cannot do, said so that the reader can mend it.

    A message names the thing, shows its value, says what was expected and where it is fixed.

    Attributes
    ----------
    status : int
        The HTTP status a wire answers with.
    """

    status = 500


class InvalidParameter(SeldonError):
    """A caller sent a value that cannot be used."""

    status = 400


class InvalidApiKey(SeldonError):
    """The request carries no key, or one that does not open this route."""

    status = 401


class ModelNotFound(SeldonError):
    """There is no model of that name or at that place."""

    status = 404


class Conflict(SeldonError):
    """What the caller wants to change was changed by somebody else in between."""

    status = 409


class PromotionRefused(Conflict):
    """A model is worse than the one it would replace; it can be forced."""


class RequestTooLarge(SeldonError):
    """The body is longer than this service reads."""

    status = 413


class AddressTooLong(SeldonError):
    """The query string is longer than this service reads; POST takes the same fields."""

    status = 414


class InvalidModel(SeldonError):
    """A model folder is damaged, incomplete, of another schema, or not to be trusted."""

    status = 422


class InvalidData(SeldonError):
    """A data file is not what it should be, or holds nothing that can be used."""

    status = 422


class TooLarge(SeldonError):
    """A training run would not fit into the memory there is."""

    status = 422


class CandidatesUnavailable(SeldonError):
    """memcached could not be asked in time; another algorithm of the caller may answer."""

    status = 503


class Overloaded(SeldonError):
    """More work is waiting than can be done in time."""

    status = 503


class RegistryUnavailable(SeldonError):
    """The table of models cannot be asked now; the same request may succeed in a moment."""

    status = 503


class InvalidSetting(SeldonError):
    """A setting has an unknown name or an unusable value; the service does not start."""


class AlgorithmNotFound(SeldonError):
    """`RECOMMENDER_ALG` names no usable file under `algs/`."""


class MissingExtra(SeldonError):
    """An optional package is not installed.

    Parameters
    ----------
    package : str
        What could not be imported.
    extra : str
        The extra of this distribution that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package!r} is not installed; install it with: "
            f"pip install 'seldon-recommender[{extra}]'"
        )
