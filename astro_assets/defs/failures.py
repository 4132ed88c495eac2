"""Our errors in Dagster's terms: the one place where they are translated."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from astro_assets.defs import names
from astro_assets.defs.history import PERMANENT
from astro_assets.defs.orphans import note_process
from astro_assets.errors import AstroAssetsError, Transient


@contextmanager
def translated(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Iterator[None]:
    """Turn an error of ours into a failure with its sentence, and note whether it may pass."""
    note_process(context)
    try:
        yield
    except AstroAssetsError as error:
        if not isinstance(error, Transient):
            context.instance.add_run_tags(context.run.run_id, {names.FAILURE_TAG: PERMANENT})
        raise dg.Failure(description=str(error), allow_retries=False) from _alone(error)
    except OSError as error:
        # Sources translate theirs: this is our own disk, and it may be mended.
        raise dg.Failure(
            description=f"{error.filename or 'a product'} cannot be read or written "
            f"({error.strerror or error}): check the disk and the space on it",
            allow_retries=False,
        ) from error


def _alone(error: AstroAssetsError) -> AstroAssetsError:
    """Without what caused it: Dagster keeps the words of all causes, a server's own among them."""
    error.__cause__ = None
    error.__suppress_context__ = True
    return error
