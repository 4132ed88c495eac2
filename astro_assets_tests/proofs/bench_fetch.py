"""What `bench` measures: one look at a source and, unless told otherwise, the fetch of all of it.

python -m astro_assets_tests.proofs.bench_fetch observatory.toml SOURCE [look]
"""

import json
import sys
import time
from functools import partial
from pathlib import Path

from astro_assets.settings import load_settings
from astro_assets.sources.batches import look
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.store import Store


def main() -> None:
    file, name, *rest = sys.argv[1:]
    settings = load_settings(Path(file))
    source = settings.source(name)
    begun = time.perf_counter()
    batches = look(source, settings)
    looked_s = time.perf_counter() - begun
    for batch in batches if rest != ["look"] else ():
        fetch_batch(
            partial(connect, source, settings.secrets),
            batch,
            Store(settings.root),
            max_connections=source.max_connections,
        )
    files = sum(len(batch.files) for batch in batches)
    sys.stdout.write(json.dumps({"looked_s": looked_s, "files": files}))


if __name__ == "__main__":
    main()
