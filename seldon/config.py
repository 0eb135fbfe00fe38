"""Settings in three layers: `recommender_config.py`, then `SELDON_` variables, then arguments."""

from __future__ import annotations

import argparse
import copy
import difflib
import json
import os
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from seldon.errors import InvalidSetting
from seldon.settings import SECRET, SETTINGS, Setting

PREFIX = "SELDON_"


def settings(
    module: ModuleType | Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
    **overrides: Any,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Read, layer and validate the settings.

    Parameters
    ----------
    module : module or mapping, optional
        Upper-case names are settings; the file is ``recommender_config.py``.
    environ : mapping
        ``SELDON_NAME=value``; the value is read as JSON, else taken as text. An entry of a
        nested setting is ``SELDON_MEMCACHE__servers``.
    **overrides
        What `create_app` was given; wins over both.

    Returns
    -------
    values : dict
        Every setting, deep-copied.
    origins : dict
        Setting to where its value came from.

    Raises
    ------
    InvalidSetting
        An unknown name or a wrong value, with where it stands and the nearest right name.
    """
    values = {name: copy.deepcopy(setting.default) for name, setting in SETTINGS.items()}
    origins = dict.fromkeys(values, "default")
    for where, name, keys, value in _layers(module, environ, overrides):
        if name not in SETTINGS:
            raise InvalidSetting(f"{where}: there is no setting {name!r}{_nearest(name, SETTINGS)}")
        origins[name] = where
        if keys:
            _set_nested(values, name, keys, value, where)
        elif isinstance(value, Mapping) and isinstance(SETTINGS[name].default, dict):
            values[name] = {**SETTINGS[name].default, **copy.deepcopy(value)}
        else:
            values[name] = copy.deepcopy(value)
    values["MEMCACHE"]["servers"] = server_list(values["MEMCACHE"]["servers"])
    if isinstance(values["API_KEYS"], dict):
        values["API_KEYS"] = {kind: server_list(keys) for kind, keys in values["API_KEYS"].items()}
    for name, setting in SETTINGS.items():
        _validate(setting, values[name], origins[name])
    return values, origins


def settings_of_this_deployment() -> dict[str, Any]:
    """For commands: the settings of ``recommender_config.py`` in the current folder, if any."""
    values, _ = settings(_config_module())
    return values


def server_list(servers: Any) -> Any:
    """``"a:1,b:2"`` as ``["a:1", "b:2"]``; a list stays one, blanks around entries go."""
    if isinstance(servers, str):
        servers = servers.split(",")
    if isinstance(servers, (list, tuple)) and all(isinstance(entry, str) for entry in servers):
        return [entry.strip() for entry in servers if entry.strip()]
    return servers


def _layers(
    module: ModuleType | Mapping[str, Any] | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
) -> list[tuple[str, str, list[str], Any]]:
    """(where it stands, setting, nested keys, value), later ones winning."""
    named: Mapping[str, Any] = vars(module) if isinstance(module, ModuleType) else module or {}
    file = getattr(module, "__file__", None) or "recommender_config.py"
    layers: list[tuple[str, str, list[str], Any]] = [
        (os.path.basename(file), name, [], value)
        for name, value in named.items()
        if name.isupper() and not name.startswith("_")
    ]
    for variable in sorted(environ):
        if variable.startswith(PREFIX):
            name, *keys = variable[len(PREFIX) :].split("__")
            layers.append((f"${variable}", name, keys, _from_text(name, environ[variable])))
    return layers + [("argument", name, [], value) for name, value in overrides.items()]


def _from_text(name: str, text: str) -> Any:
    if name in SETTINGS and isinstance(SETTINGS[name].default, str) and text[:1] not in ("[", '"'):
        return text  # so that a key or a name made of digits stays text
    try:
        return json.loads(text)
    except ValueError:
        return {"True": True, "False": False}.get(text, text)


def _set_nested(values: dict[str, Any], name: str, keys: list[str], value: Any, where: str) -> None:
    target = values[name]
    for key in keys[:-1]:
        target = target.setdefault(key, {}) if isinstance(target, dict) else None
    if not isinstance(target, dict):
        raise InvalidSetting(f"{where}: {name} has no entries; set {PREFIX}{name} itself")
    target[keys[-1]] = value


def _validate(setting: Setting, value: Any, where: str) -> None:
    if isinstance(setting.default, dict) and setting.default and isinstance(value, dict):
        for key in value:
            if key not in setting.default:
                raise InvalidSetting(
                    f"{where}: {setting.name} has no entry {key!r}{_nearest(key, setting.default)}"
                )
    try:
        valid = setting.is_valid(value)
    except (TypeError, ValueError, AttributeError, KeyError):
        valid = False
    if not valid:
        shown = "(hidden)" if setting.name in SECRET else repr(value)
        raise InvalidSetting(f"{where}: {setting.name}={shown} is not {setting.expected}")


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name.upper(), [key.upper() for key in known], 1, 0.5)
    spelled = {key.upper(): key for key in known}
    if close:
        return f"; did you mean {spelled[close[0]]!r}?"
    return "; `python -m seldon.config` lists them"


def main(argv: list[str] | None = None) -> int:
    """``python -m seldon.config``: every setting in force and where it came from."""
    parser = argparse.ArgumentParser(
        prog="python -m seldon.config",
        description="Show the settings in force and where each value came from.",
    )
    parser.add_argument("--json", action="store_true", help="for machines")
    arguments = parser.parse_args(argv)
    try:
        module = _config_module()
        values, origins = settings(module)
    except InvalidSetting as error:
        print(error, file=sys.stderr)
        return 2
    shown = {name: "(hidden)" if name in SECRET else value for name, value in values.items()}
    if arguments.json:
        print(json.dumps({n: {"value": v, "from": origins[n]} for n, v in shown.items()}, indent=1))
        return 0
    for name, value in shown.items():
        print(f"{name} = {value!r}\n    {SETTINGS[name].help} [{origins[name]}]")
    return 0


def _config_module() -> ModuleType | None:
    sys.path.insert(0, os.getcwd())
    try:
        import recommender_config
    except ImportError:
        return None
    return recommender_config


if __name__ == "__main__":
    sys.exit(main())
