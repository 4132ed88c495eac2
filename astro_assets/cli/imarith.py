"""`astro-assets imarith`: one image from two."""

from pathlib import Path

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("first", metavar="A")
@click.argument("operation", metavar="OP")
@click.argument("second", metavar="B")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="OUT may be there already.")
def imarith(*, first: str, operation: str, second: str, out: Path, overwrite: bool) -> None:
    """Write A OP B to OUT. A and B are FITS files or numbers; OP is ADD, SUB, MUL, DIV, MIN, MAX.

    The first image of a file counts, unless a part is named: night.fits[SCI]. Units (BUNIT), the
    planes MASK and VARIANCE and the header of A go along; what is divided by zero is NaN and
    masked.
    """
    from astro_assets.steps.arithmetic import arithmetic

    done = arithmetic(first, operation, second, out, replace=overwrite)
    unit = f" in {done.unit}" if done.unit else ""
    none = f", {done.without_data} without data" if done.without_data else ""
    left = f"; left out: {', '.join(done.left_out)}" if done.left_out else ""
    click.echo(f"{done.path}: {done.pixels} pixels{unit}{none}{left}")
