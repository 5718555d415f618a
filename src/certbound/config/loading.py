"""Reading the settings: the file, then what the environment overrides; everything checked before anything starts."""

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from certbound.config.settings import Settings

PREFIX = "CERTBOUND__"
CONFIG_VARIABLE = "CERTBOUND_CONFIG"
DEFAULT_FILE = "certbound.toml"
_SQLITE = "sqlite:///"
_PEM = b"-----BEGIN CERTIFICATE-----"


class SettingsError(ValueError):
    """The settings cannot be used; one line names the file, the key and what to write."""


def load_settings(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read `certbound.toml` at `path`, and what the environment overrides.

    `CERTBOUND__SECTION__KEY` holds a value, `CERTBOUND__SECTION__KEY_FILE` names a file with it. Relative paths, that
    of SQLite's URL included, are taken from the folder of the file. Raises SettingsError.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: no such file: make one with `certbound init DIR`, or name yours with -c"
        ) from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from None
    for name, value in _overrides(environ):
        _put(document, name, value)
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        raise SettingsError(f"{path}: {_explain(error.errors()[0])}") from None
    settings = _absolute(settings, path.resolve().parent)
    if settings.outbound.ca_file is not None:
        _check_ca_file(path, settings.outbound.ca_file)
    return settings


def _check_ca_file(path: Path, ca_file: Path) -> None:
    try:
        if _PEM in ca_file.read_bytes():
            return
    except OSError as error:
        raise SettingsError(f"{path}: outbound.ca_file: {error}") from None
    raise SettingsError(f"{path}: outbound.ca_file: {ca_file} holds no PEM certificate: write one with your roots")


def _overrides(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        if not name.endswith("_FILE") or _names_a_setting(name):
            yield name, environ[name]
            continue
        try:
            yield name.removesuffix("_FILE"), Path(environ[name]).read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise SettingsError(f"{name}: {error}") from None


def _names_a_setting(name: str) -> bool:
    """Tell a setting whose own name ends in `_file` from one whose value stands in a file."""
    *sections, key = name.removeprefix(PREFIX).lower().split("__")
    model = _model_at(tuple(sections))
    return model is not None and key in model.model_fields


def _put(document: dict[str, Any], name: str, text: str) -> None:
    *sections, key = name.removeprefix(PREFIX).lower().split("__")
    place: Any = document
    for section in sections:
        try:
            place = place[int(section)] if isinstance(place, list) else place.setdefault(section, {})
        except (ValueError, IndexError):
            place = None
        if not isinstance(place, dict | list):
            raise SettingsError(f"{name}: there is no {section!r} to set something in")
    if not isinstance(place, dict):
        entry = f"{PREFIX}{'__'.join(sections).upper()}__0__BIND"
        raise SettingsError(f"{name}: name the number of the entry and the key, for instance {entry}")
    place[key] = _value(text)


def _value(text: str) -> Any:
    """Take lists and tables as JSON; everything else stays text, which the settings convert."""
    if text[:1] in {"[", "{"}:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _explain(error: ErrorDetails) -> str:
    place = ".".join(str(part) for part in error["loc"]) or "settings"
    if error["type"] == "extra_forbidden":
        *sections, key = error["loc"]
        model = _model_at(tuple(str(part) for part in sections))
        known = list(model.model_fields) if model is not None else []
        near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5) or _nearest_elsewhere(str(key))
        advice = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"unknown setting {place!r}: {advice}"
    return f"{place}: {error['msg'].removeprefix('Value error, ')}"


def _nearest_elsewhere(key: str) -> list[str]:
    """Give the setting of another section that was perhaps meant: a line below the wrong heading."""
    sections = {name: _model_at((name,)) for name in Settings.model_fields}
    by_key = {
        key: f"{name}.{key}" for name, model in sections.items() if model is not None for key in model.model_fields
    }
    return [by_key[found] for found in difflib.get_close_matches(key, by_key, n=1, cutoff=0.7)]


def _model_at(sections: tuple[str, ...]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Settings
    for section in sections:
        if section.isdigit():
            continue
        field = model.model_fields.get(section) if model is not None else None
        inner: Any = field.annotation if field is not None else None
        model = next((m for m in (inner, *get_args(inner)) if isinstance(m, type) and issubclass(m, BaseModel)), None)
    return model


def _absolute(settings: Settings, folder: Path) -> Settings:
    url = settings.store.url
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        url = _SQLITE + str(folder / url.removeprefix(_SQLITE))
    store = settings.store.model_copy(update={"url": url, "master_key_file": folder / settings.store.master_key_file})
    outbound = settings.outbound
    outbound = outbound.model_copy(update={"ca_file": outbound.ca_file and folder / outbound.ca_file})
    issuers = tuple(
        issuer.model_copy(update={"jwks": issuer.jwks and folder / issuer.jwks})
        for issuer in settings.oauth.software_statement_issuer
    )
    oauth = settings.oauth.model_copy(update={"software_statement_issuer": issuers})
    listeners = tuple(
        listener.model_copy(
            update={
                "tls_certificate": listener.tls_certificate and folder / listener.tls_certificate,
                "tls_key": listener.tls_key and folder / listener.tls_key,
                "bind": _absolute_bind(listener.bind, folder),
            }
        )
        for listener in settings.listener
    )
    return settings.model_copy(update={"store": store, "oauth": oauth, "outbound": outbound, "listener": listeners})


def _absolute_bind(bind: str, folder: Path) -> str:
    return f"unix:{folder / bind.removeprefix('unix:')}" if bind.startswith("unix:") else bind
