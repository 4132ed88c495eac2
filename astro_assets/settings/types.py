"""Words that settings are made of: paths, hosts, ports, fingerprints, names of variables.

What belongs here: types with their limits. What does not: what they are used for (`models`,
`sources`).
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _local(value: object) -> object:
    if isinstance(value, str) and "://" in value:
        raise ValueError("a folder or file on this machine")
    return value


def _home(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError as error:
        raise ValueError("a path on this machine; there is no such home folder") from error


def _digits(value: object) -> object:
    return value.replace(":", "").lower() if isinstance(value, str) else value


LocalPath = Annotated[Path, BeforeValidator(_local), AfterValidator(_home)]
"""relative to the settings file; ``~`` is the user's home"""

VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
HostName = Annotated[str, Field(pattern=r"^[^\s/]+$")]
Fingerprint = Annotated[str, BeforeValidator(_digits), Field(pattern=r"^[0-9a-f]{64}$")]
"""also as other programs spell it, ``AB:CD…``"""
Port = Annotated[int, Field(ge=1, le=65535)]


class Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )
