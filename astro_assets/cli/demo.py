"""`astro-assets demo`."""

import sys
from pathlib import Path

import click


@click.command()
@click.option("--exit", "leave", is_flag=True, help="Stop everything when the night is complete.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("var/demo"))
def demo(*, leave: bool, folder: Path) -> None:
    """Play a night: four simulated sources, Dagster's web UI, pictures in the end."""
    from astro_assets.demo import run_demo

    sys.exit(run_demo(folder.absolute(), leave=leave))
