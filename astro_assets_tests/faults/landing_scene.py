"""A small far folder and the disk that its frames land on, for the rows of the landing.

What belongs here: what is fetched, and what must be there afterwards. What does not: faults.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from astro_assets.frame import FrameKind
from astro_assets.sources.batches import Batch
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.folder import FolderTransport
from astro_assets.sources.manifest import Manifest
from astro_assets.store import Store
from astro_assets_tests.sources.conftest import frame, put, zipped

KEY = "2026-11-20_M31_T20"
FAR = "a folder"


@dataclass(frozen=True)
class Scene:
    """A good frame, a zip of two more, and a broken one."""

    far: Path
    expected: dict[str, bytes]

    @classmethod
    def made(cls, folder: Path) -> "Scene":
        far = folder / "far"
        put(far / "a/0.fits", frame(0))
        put(far / "b/7.zip", zipped({"B.fits": frame(3), "V.fits": frame(4)}))
        put(far / "b/broken.fits", frame(5)[:4000])
        raw, quarantine = Path("raw/far") / KEY, Path("quarantine/far") / KEY
        return cls(
            far,
            {
                f"{raw}/a/0.fits": frame(0),
                f"{raw}/b/7/B.fits": frame(3),
                f"{raw}/b/7/V.fits": frame(4),
                f"{quarantine}/b/broken.fits": frame(5)[:4000],
            },
        )

    def batch(self) -> Batch:
        # The folder source leaves zips alone; the fetch does not.
        paths = (path for path in sorted(self.far.rglob("*")) if path.is_file())
        far = FolderTransport("far", self.far)
        files = tuple(far._file(path, path.stat()) for path in paths)
        night = dt.date(2026, 11, 20)
        return Batch("far", KEY, FrameKind.LIGHT, night, "M 31", "T20", files)

    def fetch(self, root: Path, connections: int = 1) -> Manifest:
        return fetch_batch(
            lambda: FolderTransport("far", self.far),
            self.batch(),
            Store(root),
            max_connections=connections,
        )

    def visible(self, root: Path) -> dict[str, bytes]:
        """What a user finds there: frames, without notes and hidden files."""
        return {
            path: content
            for path, content in everything(root).items()
            if not path.endswith(".json") and not any(p[0] == "." for p in Path(path).parts)
        }

    def recorded(self, root: Path) -> list[str]:
        manifest = Manifest.load(Store(root).raw("far", KEY))
        return [record.path for record in manifest.records] if manifest else []


def everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
