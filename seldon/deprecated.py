"""Old names that still work and say what they are called now."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any


def renamed(module: str, old_names: Mapping[str, Any]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` that finds objects by their old names, with a warning.

    Parameters
    ----------
    module : str
        ``__name__`` of the module.
    old_names : mapping of str to object
        Old name to the object of today.
    """

    def __getattr__(name: str) -> Any:
        if name not in old_names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        found = old_names[name]
        warnings.warn(
            f"{module}.{name} is deprecated, use {found.__module__}.{found.__name__}",
            DeprecationWarning,
            stacklevel=2,
        )
        return found

    return __getattr__
