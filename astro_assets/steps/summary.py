"""What every step tells of its product: numbers, a picture, judgements, a hash."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Judgement:
    """A property of the product that somebody would want to be told of when it fails."""

    name: str
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The outcome of a step.

    figures : numbers and short texts by name, with units in the names
    digest : changes when, and only when, the product's content does
    picture_png : a thumbnail
    more_pictures_png : further ones, by name
    rows : a table of at most some dozens of rows
    unusable : a sentence for each file that was set aside and that somebody should look at
    remarks : a sentence for each file that its owner may want to mend; it is used as it is
    """

    figures: Mapping[str, int | float | str]
    digest: str
    path: Path
    picture_png: bytes | None = None
    more_pictures_png: Mapping[str, bytes] = field(default_factory=dict)
    rows: "pd.DataFrame | None" = None
    judgements: tuple[Judgement, ...] = field(default_factory=tuple)
    unusable: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
