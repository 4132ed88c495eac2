"""`astro-assets simulate`."""

from pathlib import Path

import click
from rich.console import Console


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("var/simulated"))
@click.option("--seed", default=1, show_default=True, help="Another seed is another night.")
def simulate(*, folder: Path, seed: int) -> None:
    """Start the simulated observatory, for whoever wants to play, until Ctrl-C."""
    from astro_assets.sim.night import make_night
    from astro_assets.sim.observatory import serve_until_interrupted

    folder = folder.absolute()
    if not (folder / "truth").is_dir():
        with Console().status("Making a night…"):
            make_night(folder, seed=seed)
    serve_until_interrupted(folder)
