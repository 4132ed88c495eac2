"""One source's assets, from one factory: what differs is the source's recipe, not the code.

Steps are imported where they run: a process that only fetches or schedules loads no science.
"""

from collections.abc import Callable, Sequence

import dagster as dg

from astro_assets.defs import names
from astro_assets.defs.failures import translated
from astro_assets.defs.results import materialized
from astro_assets.frame import CALIBRATION_KINDS, FrameKind
from astro_assets.loading import loaded_meanwhile
from astro_assets.settings import Settings, SourceSettings
from astro_assets.sources.cautions import cautions
from astro_assets.sources.progress import Progress
from astro_assets.steps import versions
from astro_assets.steps.recipe import Recipe, recipe_of
from astro_assets.steps.summary import Summary
from astro_assets.store import Store

SOLVED_CHECKS = ("solved_fraction", "residual", "fwhm")
CALIBRATED_CHECKS = ("matched_masters",)

Log = Callable[[str], None]
Watch = Callable[[Progress], None]
Fetch = Callable[[dg.AssetExecutionContext], dg.MaterializeResult]


def lane_assets(
    source: SourceSettings,
    settings: Settings,
    watch: Watch | None,
    meanwhile: Sequence[str] = (),
) -> list[dg.AssetsDefinition]:
    """The chain of assets of one source, in a group of its own.

    watch : shows how far a download is, where there is a terminal
    meanwhile : modules to load while frames are fetched
    """
    recipe = recipe_of(source, settings)
    store = Store(settings.root)
    fetch = _fetcher(source, settings, watch, meanwhile)
    calibrations = (
        [] if recipe.arrives_calibrated else _calibration_assets(source, store, recipe, fetch)
    )
    return [*calibrations, *_session_assets(source, settings, store, recipe, fetch)]


def _fetcher(
    source: SourceSettings, settings: Settings, watch: Watch | None, meanwhile: Sequence[str]
) -> Fetch:
    def fetch(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from astro_assets.steps.fetch import fetch_raw

        for caution in cautions(source):
            context.log.warning(caution)
        with loaded_meanwhile(*meanwhile):
            return _run(
                context,
                lambda: fetch_raw(settings, source, context.partition_key, _log(context), watch),
            )

    return fetch


def _session_assets(
    source: SourceSettings, settings: Settings, store: Store, recipe: Recipe, fetch: Fetch
) -> list[dg.AssetsDefinition]:
    name = source.name
    partitions = dg.DynamicPartitionsDefinition(name=names.sessions(name))

    @dg.asset(
        key=[name, "raw_lights"],
        group_name=name,
        partitions_def=partitions,
        kinds={source.kind, "fits"},
        pool=f"server_{name}",
        code_version=versions.RAW,
        description=f"The light frames of a session, as downloaded from {name}. Never changed; "
        "manifest.json beside them says of each where it came from, and its sha256.",
    )
    def raw_lights(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return fetch(context)

    master_deps = [] if recipe.arrives_calibrated else _master_deps(name)

    @dg.asset(
        key=[name, "calibrated"],
        group_name=name,
        partitions_def=partitions,
        deps=[raw_lights, *master_deps],
        kinds={"numpy", "fits"},
        code_version=versions.CALIBRATED,
        check_specs=_checks(name, "calibrated", CALIBRATED_CHECKS),
        description="Each frame in electrons with its mask; the masters that were used are in "
        "its header.",
    )
    def calibrated(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from astro_assets.steps.calibrate import calibrate_session

        return _run(
            context,
            lambda: calibrate_session(
                store, name, context.partition_key, recipe, source.gain_e_per_adu
            ),
        )

    @dg.asset(
        key=[name, "solved"],
        group_name=name,
        partitions_def=partitions,
        deps=[calibrated],
        kinds={"astropy", "fits", "parquet"},
        code_version=versions.SOLVED,
        check_specs=_checks(name, "solved", SOLVED_CHECKS),
        description="Each frame with its WCS, its stars and its quality; what is rejected is in "
        "the table with its reason.",
    )
    def solved(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from astro_assets.steps.solve import solve_session

        return _run(
            context,
            lambda: solve_session(
                store,
                name,
                context.partition_key,
                recipe.limits,
                settings.solving,
                _log(context),
                settings.nova_key,
            ),
        )

    @dg.asset(
        key=[name, "stack"],
        group_name=name,
        partitions_def=partitions,
        deps=[solved],
        kinds={"numpy", "fits", "png"},
        code_version=versions.STACK,
        description="One image per filter with its weight, and the night's colour picture.",
    )
    def stacked(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from astro_assets.steps.stack import stack_session

        return _run(
            context,
            lambda: stack_session(
                store,
                name,
                context.partition_key,
                settings.solving,
                recipe.grids,
                recipe.gradient_order,
            ),
        )

    return [raw_lights, calibrated, solved, stacked]


def _calibration_assets(
    source: SourceSettings, store: Store, recipe: Recipe, fetch: Fetch
) -> list[dg.AssetsDefinition]:
    name = source.name

    @dg.asset(
        key=[name, "raw_calibrations"],
        group_name=name,
        partitions_def=dg.DynamicPartitionsDefinition(name=names.calibration_sets(name)),
        kinds={source.kind, "fits"},
        pool=f"server_{name}",
        code_version=versions.RAW,
        description=f"The frames of one bias, dark or flat set, as downloaded from {name}.",
    )
    def raw_calibrations(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return fetch(context)

    combined = [_master_asset(source, store, recipe, kind) for kind in CALIBRATION_KINDS]

    @dg.asset(
        key=[name, "bad_pixel_map"],
        group_name=name,
        partitions_def=dg.DynamicPartitionsDefinition(name=names.cameras(name)),
        deps=[_lineage(name, f"master_{kind}") for kind in (FrameKind.DARK, FrameKind.FLAT)],
        kinds={"numpy", "fits"},
        code_version=versions.BAD_PIXEL_MAP,
        description="Hot, dead and jumping pixels, bad columns and rows of one camera "
        "configuration, from its darks and flats, and what its owner lists.",
    )
    def bad_pixel_map(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from astro_assets.steps.bad_pixels import make_bad_pixel_map

        return _run(context, lambda: make_bad_pixel_map(store, name, context.partition_key, recipe))

    return [raw_calibrations, *combined, bad_pixel_map]


def _master_asset(
    source: SourceSettings, store: Store, recipe: Recipe, kind: FrameKind
) -> dg.AssetsDefinition:
    name = source.name
    needed = {
        FrameKind.BIAS: [],
        FrameKind.DARK: ["master_bias"],
        FrameKind.FLAT: ["master_bias", "master_dark"],
    }[kind]
    raw = dg.AssetDep(
        dg.AssetKey([name, "raw_calibrations"]), partition_mapping=dg.IdentityPartitionMapping()
    )

    @dg.asset(
        key=[name, f"master_{kind}"],
        group_name=name,
        partitions_def=dg.DynamicPartitionsDefinition(name=names.master_sets(name, kind)),
        deps=[raw, *(_lineage(name, asset) for asset in needed)],
        kinds={"numpy", "fits"},
        code_version=versions.MASTER,
        description=f"The {kind} frames of one set, combined; refused inputs are named with the "
        "reason.",
    )
    def master(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from astro_assets.steps.masters import make_master

        return _run(
            context,
            lambda: make_master(
                store, name, context.partition_key, kind, source.gain_e_per_adu, recipe
            ),
        )

    return master


def _master_deps(name: str) -> list[dg.AssetDep]:
    masters_of_kinds = [f"master_{kind}" for kind in CALIBRATION_KINDS]
    return [_lineage(name, asset) for asset in (*masters_of_kinds, "bad_pixel_map")]


def _lineage(name: str, asset: str) -> dg.AssetDep:
    """An edge that shows where things come from; which master was used is in the header."""
    return dg.AssetDep(dg.AssetKey([name, asset]), partition_mapping=dg.AllPartitionMapping())


def _checks(name: str, asset: str, checks: tuple[str, ...]) -> list[dg.AssetCheckSpec]:
    return [dg.AssetCheckSpec(check, asset=dg.AssetKey([name, asset])) for check in checks]


def _log(context: dg.AssetExecutionContext) -> Log:
    return context.log.info


def _run(context: dg.AssetExecutionContext, step: Callable[[], Summary]) -> dg.MaterializeResult:
    with translated(context):
        return materialized(step())
