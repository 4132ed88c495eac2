"""The assets that bring all sources together: composites, the table of frames, the report."""

import dagster as dg

from astro_assets.defs import names
from astro_assets.defs.failures import translated
from astro_assets.defs.results import materialized
from astro_assets.settings import Settings
from astro_assets.steps import versions
from astro_assets.store import Store

GROUP = "night"


def across_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """`composite` (target), `frames`, `night_report` (night)."""
    store = Store(settings.root)
    stacks = [
        dg.AssetDep(dg.AssetKey([source.name, "stack"]), partition_mapping=dg.AllPartitionMapping())
        for source in settings.active_sources
    ]
    solved = [
        dg.AssetDep(
            dg.AssetKey([source.name, "solved"]), partition_mapping=dg.AllPartitionMapping()
        )
        for source in settings.active_sources
    ]

    @dg.asset(
        name="composite",
        group_name=GROUP,
        partitions_def=dg.DynamicPartitionsDefinition(name=names.TARGETS),
        deps=stacks,
        kinds={"numpy", "fits", "png"},
        code_version=versions.COMPOSITE,
        description="All nights of a target as one image per colour and one picture, made from "
        "the sessions' stacks.",
    )
    def target_composite(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from astro_assets.steps.composite import compose_target

        with translated(context):
            return materialized(
                compose_target(store, context.partition_key, settings.grids, settings.solving)
            )

    @dg.asset(
        name="frames",
        group_name=GROUP,
        deps=solved,
        kinds={"pandas", "parquet"},
        code_version=versions.FRAMES,
        description="The table of every frame: numbers, verdicts, reasons.",
    )
    def all_frames(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from astro_assets.steps.frames import write_table

        with translated(context):
            return materialized(write_table(store))

    @dg.asset(
        name="night_report",
        group_name=GROUP,
        partitions_def=dg.DynamicPartitionsDefinition(name=names.NIGHTS),
        deps=[
            all_frames,
            dg.AssetDep(target_composite, partition_mapping=dg.AllPartitionMapping()),
        ],
        kinds={"html"},
        code_version=versions.NIGHT_REPORT,
        description="The page that a person reads in the morning.",
    )
    def night_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from astro_assets.steps.report import write_report

        with translated(context):
            return materialized(write_report(store, context.partition_key))

    return [target_composite, all_frames, night_report]
