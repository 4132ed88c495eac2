"""A step's summary as what Dagster's pages show."""

import base64
import math
from typing import TYPE_CHECKING

import dagster as dg

from astro_assets.defs import names
from astro_assets.steps.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 100
DECIMALS = 3


def materialized(summary: Summary) -> dg.MaterializeResult[None]:
    """Numbers, table and thumbnail as metadata; judgements as check results."""
    metadata: dict[str, dg.MetadataValue] = {}
    if summary.picture_png:
        metadata["picture"] = _picture(summary.picture_png)
    for name, picture_png in summary.more_pictures_png.items():
        metadata[f"picture_{name}"] = _picture(picture_png)
    metadata |= {name: _value(figure) for name, figure in summary.figures.items()}
    metadata["path"] = dg.MetadataValue.path(str(summary.path))
    if summary.rows is not None and len(summary.rows):
        metadata["table"] = _table(summary.rows)
    for name, sentences in ((names.LOOK_AT, summary.unusable), (names.REMARKS, summary.remarks)):
        if sentences:
            metadata[name] = dg.MetadataValue.json(list(sentences))
    return dg.MaterializeResult(
        metadata=metadata,
        data_version=dg.DataVersion(summary.digest),
        check_results=[
            dg.AssetCheckResult(
                check_name=judgement.name,
                passed=judgement.passed,
                severity=dg.AssetCheckSeverity.WARN,
                description=judgement.sentence,
            )
            for judgement in summary.judgements
        ],
    )


def _picture(png: bytes) -> dg.MetadataValue:
    encoded = base64.b64encode(png).decode()
    return dg.MetadataValue.md(f"![picture](data:image/png;base64,{encoded})")


def _table(rows: "pd.DataFrame") -> dg.TableMetadataValue:
    """The first rows, rounded for people; blank where there is no number."""
    shown = rows.head(MAX_ROWS).round(DECIMALS)
    shown = shown.astype(object).where(shown.notna(), None)
    return dg.MetadataValue.table(
        [
            dg.TableRecord({str(name): value for name, value in record.items()})
            for record in shown.to_dict("records")
        ]
    )


def _value(figure: float | str) -> dg.MetadataValue:
    if isinstance(figure, str):
        return dg.MetadataValue.text(figure)
    if isinstance(figure, int):
        return dg.MetadataValue.int(figure)
    return dg.MetadataValue.float(figure if math.isfinite(figure) else float("nan"))
