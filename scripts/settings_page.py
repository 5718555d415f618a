"""Write docs/settings.md from the settings themselves, or with --check say whether it is out of date."""

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from certbound.config.settings import Settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
HEAD = """\
# Settings

<!-- Generated from src/certbound/config/settings.py by `make docs`; edit there. -->

`certbound.toml`, found by `-c FILE`, `CERTBOUND_CONFIG`, or in the current folder. Relative paths are taken from its
folder. A variable `CERTBOUND__SECTION__KEY` overrides a key (`CERTBOUND__LISTENER__0__BIND` one of the first listener),
and `CERTBOUND__SECTION__KEY_FILE` names a file with the value, for secrets. An unknown key or variable is an error.
"""


def page() -> str:
    """Give the whole page."""
    return "\n\n".join([f"{HEAD}\n## Top level\n\n{_table(Settings)}", *_sections(Settings)]) + "\n"


def _sections(within: type[BaseModel], place: str = "") -> Iterator[str]:
    for name, field in within.model_fields.items():
        model = _section_of(field)
        if model is not None:
            brackets = f"[[{place}{name}]]" if field.annotation is not model else f"[{place}{name}]"
            said = (model.__doc__ or "").partition(": ")[2]
            yield f"## `{brackets}`\n\n{said[:1].upper()}{said[1:]}\n\n{_table(model)}"
            yield from _sections(model, f"{place}{name}.")


def _table(model: type[BaseModel]) -> str:
    rows = [
        f"| `{name}` | {_default(field)} | {' '.join((field.description or '').split())} |"
        for name, field in model.model_fields.items()
        if _section_of(field) is None
    ]
    return "\n".join(["| key | default | |", "|---|---|---|", *rows])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    shown = _toml(field.default)
    return f"`{shown}`" if shown else "unset"


def _toml(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str | StrEnum | Path) else str(value)


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    candidates: Iterator[Any] = iter((field.annotation, *get_args(field.annotation)))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def main() -> int:
    """Write the page, or compare it."""
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text("utf-8") != page():
            print("docs/settings.md is out of date: run `make docs`", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
