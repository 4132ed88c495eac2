"""Which master serves which frame: the search among those that the rules allow.

What belongs here: choosing files by their headers. What does not: the rules (`rules`), reading the
headers (`master_files`), applying masters (`imaging`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from astro_assets.frame import Frame
from astro_assets.steps.master_files import KINDS, MasterFile, masters, read_master_header
from astro_assets.steps.rules import (
    EXPOSURE_TOLERANCE,
    OLD_DAYS,
    TEMPERATURE_TOLERANCE_C,
    broken,
)
from astro_assets.steps.setup import Setup, camera_parts, setup_of

__all__ = [
    "EXPOSURE_TOLERANCE",
    "TEMPERATURE_TOLERANCE_C",
    "MasterFile",
    "Masters",
    "Matched",
    "masters",
    "match",
    "read_master_header",
]

_MOST_REFUSALS = 3
"""of each kind are named: those that come nearest to serving"""


@dataclass(frozen=True, slots=True)
class Matched:
    """The masters for one frame.

    missing : a sentence for each that is not there
    warnings : a sentence for each thing in which one that serves is not quite right
    refused : why the others of this camera that come nearest do not serve
    read_noise_from, gain_from : the masters on which they were measured, used or not
    """

    bias: MasterFile | None = None
    dark: MasterFile | None = None
    flat: MasterFile | None = None
    bad_pixels: MasterFile | None = None
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    read_noise_from: MasterFile | None = None
    gain_from: MasterFile | None = None

    @property
    def files(self) -> tuple[MasterFile, ...]:
        """The masters that are applied."""
        found = (self.bias, self.dark, self.flat, self.bad_pixels)
        return tuple(master for master in found if master is not None)

    @property
    def digests(self) -> tuple[str, ...]:
        """Of all that the result depends on: the masters, and the figures of others."""
        noise, gain = self.read_noise_from, self.gain_from
        return (
            *(master.digest for master in self.files),
            f"read noise {noise.read_noise_adu if noise else None}",
            f"gain {gain.gain_e_per_adu if gain else None}",
        )


@dataclass(frozen=True, slots=True)
class _Fit:
    """A master that serves; scaled : a dark of a longer exposure."""

    master: MasterFile
    warnings: tuple[str, ...]
    scaled: bool = False


@dataclass(frozen=True, slots=True)
class _Judged:
    """The masters of one kind for one setup, whatever the night."""

    fits: tuple[_Fit, ...]
    refused: tuple[tuple[MasterFile, tuple[str, ...]], ...]


class Masters:
    """The masters of a source, ready for many frames: a setup is judged once."""

    def __init__(self, available: Iterable[MasterFile]) -> None:
        self._of: dict[tuple[str, str | None], list[MasterFile]] = {}
        for master in available:
            instrument = camera_parts(master.camera)["instrument"]
            self._of.setdefault((master.kind, instrument), []).append(master)
        self._judged: dict[tuple[str, Setup], _Judged] = {}
        self._detectors: dict[tuple[str, str | None], list[MasterFile]] = {}

    def match(self, setup: Setup, night: date) -> Matched:
        """The masters that fit a frame, each the nearest in time among those that fit best.

        A dark must be of the frame's exposure, or be longer and free of bias (it is then scaled);
        one that still holds the bias can be scaled with a master bias. A flat is of use only when
        the bias can be taken off. What the frame's provider has corrected is not asked for.
        """
        done = setup.corrected
        biases = _Judged((), ()) if done else self._judge("bias", setup)
        bias = _nearest(biases.fits, night)
        darks = self._darks(setup, has_bias=bias is not None)
        dark = _nearest(darks.fits, night)
        own_bias = dark is not None and not (dark.master.bias_subtracted or dark.scaled)
        flats = _Judged((), ()) if "F" in done else self._judge("flat", setup)
        flat = _nearest(flats.fits, night) if bias or dark or done else None
        bad = _nearest(self._judge("bad_pixels", setup).fits, night)
        used = [fit for fit in (None if own_bias else bias, dark, flat, bad) if fit is not None]
        groups = {"bias": biases, "dark": darks, "flat": flats}
        return Matched(
            bias=None if own_bias else _master(bias),
            dark=_master(dark),
            flat=_master(flat),
            bad_pixels=_master(bad),
            missing=_missing(setup, bias, dark, flat, unused_flat=bool(flats.fits) and not flat),
            warnings=tuple(sentence for fit in used for sentence in _warnings(fit, night)),
            refused=tuple(s for kind, group in groups.items() for s in _told(kind, group, night)),
            read_noise_from=self._read_noise(setup, night, _master(dark)),
            gain_from=None if setup.gain_known else self._gain(setup, night),
        )

    def _judge(self, kind: str, setup: Setup) -> _Judged:
        """By the table."""
        key = (kind, setup)
        if key not in self._judged:
            fits, refused = [], []
            for master in self._candidates(kind, setup):
                reasons, warnings = broken(kind, master, setup)
                if reasons:
                    refused.append((master, tuple(reasons)))
                else:
                    fits.append(_Fit(master, tuple(warnings)))
            self._judged[key] = _Judged(tuple(fits), tuple(refused))
        return self._judged[key]

    def _candidates(self, kind: str, setup: Setup) -> Sequence[MasterFile]:
        return self._of.get((kind, camera_parts(setup.camera)["instrument"]), ())

    def _darks(self, setup: Setup, *, has_bias: bool) -> _Judged:
        """Those of the frame's exposure if there are any, else the longest ones, to be scaled."""
        if {"D", "F"} & set(setup.corrected):  # what a flat has divided is past a dark
            return _Judged((), ())
        judged = self._judge("dark", setup)
        refused = list(judged.refused)
        same: list[_Fit] = []
        longer: list[_Fit] = []
        for fit in judged.fits:
            exact = _same_exposure(setup.exposure_s, fit.master.exposure_s)
            reason = _dark_refusal(setup, fit.master, exact=exact, has_bias=has_bias)
            if reason:
                refused.append((fit.master, (reason,)))
            else:
                (same if exact else longer).append(fit)
        longest = max((fit.master.exposure_s for fit in longer), default=0.0)
        scaled = [_scaled(fit, setup) for fit in longer if fit.master.exposure_s == longest]
        return _Judged(tuple(same or scaled), tuple(refused))

    def _read_noise(self, setup: Setup, night: date, dark: MasterFile | None) -> MasterFile | None:
        """Biases; for a camera without them the dark in use, whose noise is no smaller."""
        told = [m for m in self._of_detector(setup) if m.read_noise_error_adu is not None]
        bound = dark if dark is not None and dark.read_noise_adu is not None else None
        return _master(_nearest([_Fit(m, ()) for m in told], night)) or bound

    def _gain(self, setup: Setup, night: date) -> MasterFile | None:
        """Flats on which it was measured, else a master whose maker has stated it."""
        told = [m for m in self._of_detector(setup) if m.gain_e_per_adu is not None]
        measured = [m for m in told if m.gain_error is not None]
        return _master(_nearest([_Fit(m, ()) for m in measured or told], night))

    def _of_detector(self, setup: Setup) -> list[MasterFile]:
        """Masters whose figures are those of the frame's detector, as it was set."""
        key = (setup.camera, setup.read_mode)
        if key not in self._detectors:
            self._detectors[key] = [
                m
                for kind in KINDS
                for m in self._candidates(kind, setup)
                if not broken("detector", m, setup)[0]
            ]
        return self._detectors[key]


def match(
    frame: Frame, shape: tuple[int, int], night: date, available: Iterable[MasterFile]
) -> Matched:
    """The masters that fit one frame: `Masters.match`."""
    return Masters(available).match(setup_of(frame, shape), night)


def _master(fit: _Fit | None) -> MasterFile | None:
    return fit.master if fit else None


def _nearest(fits: Sequence[_Fit], night: date) -> _Fit | None:
    """In time; of what tells less than it should only if nothing tells more."""
    return min(
        fits,
        key=lambda fit: (
            len(fit.warnings),
            abs((fit.master.night - night).days),
            str(fit.master.path),
        ),
        default=None,
    )


def _dark_refusal(setup: Setup, dark: MasterFile, *, exact: bool, has_bias: bool) -> str:
    """Why a dark that the table allows does not serve; empty if it does."""
    if "B" in setup.corrected:
        if not dark.bias_subtracted:
            return "it still holds its bias, which the frame has lost already"
        has_bias = True
    if not exact:
        if setup.exposure_s is None:
            return "the frame tells no exposure"
        if dark.exposure_s < setup.exposure_s:
            return f"{dark.exposure_s:g} s is shorter than {setup.exposure_s:g} s"
        if not has_bias:
            return (
                f"{dark.exposure_s:g} s is not {setup.exposure_s:g} s, and without a master bias "
                "it cannot be scaled"
            )
    if dark.bias_subtracted and not has_bias:
        return "it is free of bias, and there is no master bias to go with it"
    return ""


def _scaled(fit: _Fit, setup: Setup) -> _Fit:
    told = f"of {fit.master.exposure_s:g} s is scaled to {setup.exposure_s:g} s"
    return replace(fit, warnings=(*fit.warnings, told), scaled=True)


def _same_exposure(exposure_s: float | None, dark_exposure_s: float) -> bool:
    """Cameras tell 300.003 s; a hundredth of the dark current is nothing."""
    if exposure_s is None or dark_exposure_s <= 0:
        return False
    return abs(exposure_s / dark_exposure_s - 1) <= EXPOSURE_TOLERANCE


def _warnings(fit: _Fit, night: date) -> list[str]:
    master = fit.master
    days = abs((master.night - night).days)
    old = [f"is {days} days away"] if days > OLD_DAYS[master.kind] else []
    return [f"master {master.kind} {master.path.stem}: {w}" for w in (*fit.warnings, *old)]


def _told(kind: str, judged: _Judged, night: date) -> list[str]:
    """The nearest misses, each with its reasons; how many more there are."""
    ordered = sorted(
        judged.refused,
        key=lambda r: (len(r[1]), abs((r[0].night - night).days), str(r[0].path)),
    )
    sentences = [
        f"master {kind} {master.path.stem} does not serve: {', '.join(reasons)}"
        for master, reasons in ordered[:_MOST_REFUSALS]
    ]
    more = len(ordered) - len(sentences)
    return sentences + ([f"{more} more master {kind}s of this camera do not serve"] if more else [])


def _missing(
    setup: Setup, bias: _Fit | None, dark: _Fit | None, flat: _Fit | None, *, unused_flat: bool
) -> tuple[str, ...]:
    sentences = []
    done = setup.corrected
    if bias is None and dark is None and not done:
        sentences.append(f"no master bias for camera {setup.camera}")
    if dark is None and not {"D", "F"} & set(done):
        exposure = "" if setup.exposure_s is None else f", {setup.exposure_s:g} s"
        cold = "" if setup.temperature_c is None else f" at {setup.temperature_c:.0f} °C"
        sentences.append(f"no master dark for camera {setup.camera}{exposure}{cold}")
    if flat is None and "F" not in done:
        colour = f" in filter {setup.filter}" if setup.filter else ""
        why = ", since without a bias it is of no use" if unused_flat else ""
        sentences.append(f"no master flat for camera {setup.camera}{colour}{why}")
    return tuple(sentences)
