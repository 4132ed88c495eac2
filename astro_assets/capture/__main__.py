"""``python -m astro_assets.capture``: the same as ``astro-capture``."""

from astro_assets.capture.cli import main

main()
