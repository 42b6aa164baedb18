"""Settings as data: YAML files, shipped or one's own, validated; and what is wrong with them."""

import hashlib
import json
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from esca.errors import EscaError

T = TypeVar("T")

STRICT = ConfigDict(extra="forbid")
"""Fields that are not there are errors."""


class Settings(Generic[T]):
    """One kind of settings: a pydantic dataclass that is read from YAML.

    ``what`` names it in errors. ``shipped``: folder of the files that come with esca; ``leading``:
    those of their names that are listed first.
    """

    def __init__(
        self,
        kind: type[T],
        what: str,
        shipped: Traversable | None = None,
        leading: tuple[str, ...] = (),
    ) -> None:
        self.what, self.shipped, self.leading = what, shipped, leading
        self._adapter = TypeAdapter(kind)

    def names(self) -> tuple[str, ...]:
        """Names of the shipped files."""
        if self.shipped is None:
            return ()
        names = sorted(entry.name.removesuffix(".yaml") for entry in self.shipped.iterdir())
        first = [name for name in dict.fromkeys(self.leading) if name in names]
        return (*first, *(name for name in names if name not in first))

    def load(self, name_or_path: str | Path, field: str) -> T:
        """A shipped file by name, or a .yaml file; errors name ``field`` where it is neither."""
        name, names = str(name_or_path), self.names()
        if self.shipped is not None and name in names:
            return self._read(self.shipped / f"{name}.yaml", f"{name}.yaml")
        if Path(name).suffix not in {".yaml", ".yml"}:
            raise EscaError(f"{field}: {name!r} is none of {', '.join(names)} and not a .yaml file")
        return self.read(Path(name))

    def read(self, path: Path) -> T:
        """A file; EscaError where it is missing or wrong."""
        return self._read(path, str(path))

    def _read(self, file: Traversable, source: str) -> T:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise EscaError(f"{source}: no such {self.what} file") from error
        except UnicodeDecodeError as error:
            raise EscaError(f"{source}: not a YAML file, expected UTF-8 text") from error
        return self.parse(text, source)

    def parse(self, text: str, source: str) -> T:
        """YAML text; errors name ``source`` and the field."""
        try:
            data: Any = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise EscaError(f"{source}: not valid YAML ({str(error).splitlines()[0]})") from error
        if not isinstance(data, dict):
            raise EscaError(f"{source}: expected a mapping of {self.what} fields")
        return self.validated(self._whole(data, source), source)

    def _whole(self, data: dict[str, Any], source: str) -> dict[str, Any]:
        """With what the shipped file has that the data ``extends``."""
        if "extends" not in data:
            return data
        name, names = data["extends"], self.names()
        if self.shipped is None or name not in names:
            raise EscaError(f"{source}: extends: {name!r} is none of {', '.join(names)}")
        text = (self.shipped / f"{name}.yaml").read_text(encoding="utf-8")
        own = {key: value for key, value in data.items() if key != "extends"}
        return _over(self._whole(yaml.safe_load(text), f"{name}.yaml"), own)

    def validated(self, data: dict[str, Any], source: str) -> T:
        """Plain data; errors name ``source`` and the field, and show a plain value."""
        try:
            return self._adapter.validate_python(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or self.what
            plain = isinstance(first["input"], str | int | float | bool | None)
            got = f", got {first['input']!r}" if plain else ""
            raise EscaError(f"{source}: {where}: {first['msg']}{got}") from error

    def data(self, value: T) -> dict[str, Any]:
        """Plain data of settings."""
        data: dict[str, Any] = self._adapter.dump_python(value, mode="json")
        return data

    def digest(self, value: T) -> str:
        """SHA-256 of the canonical JSON of settings, as hex digits."""
        canonical = json.dumps(self.data(value), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def _over(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What is in ``own``, and of ``base`` what is not; mappings key by key."""
    both = {
        key: _over(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict)
        else value
        for key, value in own.items()
    }
    return base | both
