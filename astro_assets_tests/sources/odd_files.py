"""A thousand files that are odd but legal, from astropy, tifffile, Pillow and by hand.

What belongs here: their bytes, each with a name that tells what is odd. Every seed is explicit.
"""

import bz2
import gzip
import io
import itertools
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import tifffile
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray
from PIL import Image

Odd = tuple[str, bytes]
BLOCK = 2880
SHAPES: tuple[tuple[int, ...], ...] = ((7,), (5, 9), (1, 1), (3, 5, 9), (2, 3, 4, 5), (40, 720))
DTYPES = ("u1", "i2", "i4", "i8", "f4", "f8", "u2", "u4", "u8", "i1")


def odd_files() -> Iterator[Odd]:
    """Every file with its name."""
    kinds = (
        images, scaled, special_values, black_areas, headers, tables, structures, checksums,
        fpacked, packed, tiffs, pillow_tiffs, zips,
    )  # fmt: skip
    for kind in kinds:
        for number, (name, content) in enumerate(kind()):
            yield f"{kind.__name__}-{number:03d}-{name}", content


def pixels(dtype: str, shape: tuple[int, ...], seed: int = 1) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    if dtype.startswith("f"):
        return rng.normal(100, 30, shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def written(*hdus: Any, checksum: bool | str = False) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        fits.HDUList(list(hdus)).writeto(file, checksum=checksum, output_verify="silentfix")
    return file.getvalue()


def by_hand(cards: list[str], data: bytes = b"", fill: bytes = b"\0") -> bytes:
    """A unit from cards as they stand."""
    header = "".join(f"{card:80}" for card in [*cards, "END"])
    header += " " * (-len(header) % BLOCK)
    return header.encode("ascii") + data + fill * (-len(data) % BLOCK)


def images() -> Iterator[Odd]:
    """All types and numbers of axes, as primary image and as extension, with and without sums."""
    for dtype, shape in itertools.product(DTYPES, SHAPES):
        image = pixels(dtype, shape)
        label = f"{dtype}-{'x'.join(map(str, shape))}"
        yield f"{label}.fits", written(fits.PrimaryHDU(image))
        yield f"{label}-sums.Fits", written(fits.PrimaryHDU(image), checksum=True)
        yield f"{label}-ext.FIT", written(fits.PrimaryHDU(), fits.ImageHDU(image))


def scaled() -> Iterator[Odd]:
    scales = [(1.0, 0.0), (0.01, 12.5), (2.0, 32768.0), (-1.0, 100.0), (1.0, 1e10)]
    for dtype, (scale, zero), blank in itertools.product(
        ("u1", "i2", "i4", "f4"), scales, (None, -1, 0)
    ):
        hdu = fits.PrimaryHDU(pixels(dtype, (9, 11)))
        hdu.header["BSCALE"], hdu.header["BZERO"] = scale, zero
        if blank is not None and not dtype.startswith("f"):
            hdu.header["BLANK"] = max(blank, 0) if dtype == "u1" else blank
        raw = fits.PrimaryHDU(hdu.data, header=hdu.header, do_not_scale_image_data=True)
        yield f"{dtype}-{scale}-{zero}-{blank}.fts", written(raw)


def special_values() -> Iterator[Odd]:
    for dtype, value in itertools.product(("f4", "f8"), (np.nan, np.inf, -np.inf, -0.0, 1e-40)):
        image = pixels(dtype, (200, 300))
        image[20:150] = value
        yield f"{dtype}-{value}.fits", written(fits.PrimaryHDU(image))
        yield f"{dtype}-all-{value}.fits", written(fits.PrimaryHDU(np.full_like(image, value)))
    for value in (0, 1, 32767, 32768, 65535):
        yield f"all-{value}.fits", written(fits.PrimaryHDU(np.full((300, 400), value, "u2")))


def black_areas() -> Iterator[Odd]:
    """Large enough for a hole, and black by nature."""
    lines = np.arange(300)[:, None]
    columns = np.arange(400)[None, :]
    areas = {
        "above": lines < 110,
        "below": lines >= 170,
        "gap": abs(lines - 150) < 60,
        "frame": (lines < 40) | (lines > 250) | (columns < 30) | (columns > 380),
        "corner": lines * 4 + columns * 3 < 700,
        "slanted-gap": abs(lines * 100 + columns - 15000) < 6000,
        "turned-a-little": lines * 400 + columns < 44321,
        "disk": (lines - 150) ** 2 + (columns - 200) ** 2 > 120**2,
        "all": lines >= 0,
        "all-but-one": (lines != 155) | (columns != 77),
        "grid": (lines % 8 > 0) | (columns % 8 > 0),
    }
    for (name, area), dtype in itertools.product(areas.items(), ("u1", "i2", "u2", "i4", "f4")):
        level = 900 if np.dtype(dtype).itemsize > 1 else 90
        sky = np.random.default_rng(3).poisson(level, (300, 400)).astype(dtype)
        black = np.where(area, 0, sky).astype(dtype)
        yield f"{name}-{dtype}.fits", written(fits.PrimaryHDU(black))
        yield f"{name}-{dtype}-cube.fits", written(fits.PrimaryHDU(np.stack([black, sky, black])))
        mask = np.broadcast_to(~area, sky.shape).astype(dtype)
        yield f"{name}-{dtype}-mask.fits", written(fits.PrimaryHDU(mask))
        if dtype != "i4":
            file = io.BytesIO()
            tifffile.imwrite(file, black, photometric="minisblack")
            yield f"{name}-{dtype}.tif", file.getvalue()


SIMPLE = ["SIMPLE  =                    T", "BITPIX  =                    8"]
AXES = ["NAXIS   =                    2", "NAXIS1  =                    3",
        "NAXIS2  =                    2"]  # fmt: skip
ODD_CARDS = {
    "comment-words": ["SIMPLE is a comment here", "COMMENT END of all", "HISTORY = 5"],
    "blank-cards": ["", "", "        in a blank keyword"],
    "no-value": ["FILTER  =", "OBJECT  =                      / nothing"],
    "quotes": ["OBJECT  = 'it''s / M 31'  / NAXIS1 = 77", "OBSERVER= ''", "X       = '''' / q"],
    "continue": ["LONG    = 'first &'", "CONTINUE  'second &'", "CONTINUE  'third' / end"],
    "hierarch": ["HIERARCH ESO DET CHIP1 NX = 4 / odd", "HIERARCH a lower key = 'x'"],
    "numbers": ["A       = 1.0D+05", "B       = 1e-5", "C       = (1.0, -2)", "D       = -.5"],
    "doubled": ["OBJECT  = 'one'", "OBJECT  = 'two'", "NAXIS1  = 77"],
    "end-like": ["ENDPOINT=                    1", "END1    =                    2"],
    "logical": ["A       = T", "B       =                    F / x"],
    "sums-undefined": ["CHECKSUM= '        '", "DATASUM = '        '"],
    "gcount": ["PCOUNT  =                    7", "GCOUNT  =                    3"],
    "groups-false": ["GROUPS  =                    F"],
    "extend": ["EXTEND  =                    T", "NEXTEND =                    9"],
    "blocked": ["BLOCKED =                    T"],
    "inherit": ["INHERIT =                    F"],
    "longstrn": ["LONGSTRN= 'OGIP 1.0'"],
}


def headers() -> Iterator[Odd]:
    """Headers by hand, as programs that are no astropy write them."""
    for name, cards in ODD_CARDS.items():
        yield f"{name}.fits", by_hand([*SIMPLE, *AXES, *cards], b"abcdef")
        yield f"{name}-no-data.fits", by_hand([*SIMPLE, "NAXIS   = 0", *cards])
        free = ["SIMPLE  = T / free format", "BITPIX  = 16", "NAXIS   = 2 / axes", "NAXIS1  = +3",
                "NAXIS2  =     2    / lines"]  # fmt: skip
        yield f"{name}-free.fits", by_hand([*free, *cards], b"abcdefghijkl")
        many = [f"COMMENT {number}" for number in range(200)]
        yield f"{name}-long.fits", by_hand([*SIMPLE, *AXES, *many, *cards], b"abcdef")
    for cards in range(5, 80, 3):
        filling = [f"KEY{number:<5}= {number}" for number in range(cards)]
        yield f"{cards}-cards.fits", by_hand([*SIMPLE, *AXES, *filling], b"abcdef")
    not_simple = ["SIMPLE  =                    F", SIMPLE[1], *AXES]
    yield "simple-false.fits", by_hand(not_simple, b"abcdef")
    zero = ["NAXIS   =                    2", "NAXIS1  =                    0", AXES[2]]
    yield "no-columns.fits", by_hand([*SIMPLE, *zero])
    yield (
        "999-axes.fits",
        by_hand(
            [
                *SIMPLE,
                "NAXIS   =                  999",
                *(f"NAXIS{n:<3}= 1" for n in range(1, 1000)),
            ],
            b"a",
        ),
    )
    yield "tape.fits", by_hand([*SIMPLE, *AXES], b"abcdef") + bytes(3 * BLOCK)
    yield "special-records.fits", by_hand([*SIMPLE, *AXES], b"abcdef") + b"?" * (2 * BLOCK)
    yield "blanks-behind-data.fits", by_hand([*SIMPLE, *AXES], b"abcdef", fill=b" ")


def tables() -> Iterator[Odd]:
    formats = {"L": [True, False], "B": [1, 2], "I": [1, -2], "J": [3, 4], "K": [5, 6],
               "E": [1.5, 2.5], "D": [0.0, 0.0], "C": [1j, 2], "M": [1j, 2], "8A": ["a", "bc"],
               "PE()": [[1.0], [2.0, 3.0]], "QJ()": [[1], []],
               "3I": [[1, 2, 3], [4, 5, 6]]}  # fmt: skip
    for name, values in formats.items():
        array = np.empty(2, dtype=object) if "(" in name else np.array(values)
        if "(" in name:
            array[:] = [np.array(value) for value in values]
        column = fits.Column("a", name, array=array)
        for sums in (False, True):
            hdu = fits.BinTableHDU.from_columns([column])
            yield f"{name[:2]}-{sums}.fits", written(fits.PrimaryHDU(), hdu, checksum=sums)
    for rows in (0, 1, 36, 20_000):
        table = np.zeros(rows, [("time", "f8"), ("flux", "f4"), ("name", "S20")])
        yield f"zeros-{rows}.fits", written(fits.PrimaryHDU(), fits.BinTableHDU(table))
        ascii_table = fits.TableHDU.from_columns([fits.Column("a", "I10", array=np.arange(rows))])
        yield f"ascii-{rows}.fits", written(fits.PrimaryHDU(), ascii_table)
    heap = ["XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 8", "NAXIS2  = 2",
            "PCOUNT  = 100", "GCOUNT  = 1", "TFIELDS = 1", "TFORM1  = '1PB(4)'",
            "THEAP   = 40"]  # fmt: skip
    yield "gap-before-heap.fits", by_hand([*SIMPLE, "NAXIS   = 0"]) + by_hand(heap, bytes(116))


def structures() -> Iterator[Odd]:
    """Several units, cubes, random groups, extensions of other sorts."""
    for count in (1, 2, 5, 40):
        rest = [fits.ImageHDU(pixels("i2", (4, n + 1)), name=f"N{n}") for n in range(count)]
        for sums in (False, "datasum", True):  # whose words stay in the headers
            yield f"{count}-{sums}.fits", written(fits.PrimaryHDU(), *rest, checksum=sums)
    for bitpix in (-64, -32, 8, 16, 32):
        groups = ["SIMPLE  =                    T", f"BITPIX  = {bitpix}", "NAXIS   = 3",
                  "NAXIS1  = 0", "NAXIS2  = 4", "NAXIS3  = 3", "GROUPS  =                    T",
                  "PCOUNT  = 2", "GCOUNT  = 5", "PTYPE1  = 'U'", "PTYPE2  = 'V'"]  # fmt: skip
        yield f"groups-{bitpix}.fits", by_hand(groups, bytes(abs(bitpix) // 8 * 5 * (2 + 12)))
    other = ["XTENSION= 'A3DTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 8", "NAXIS2  = 2",
             "PCOUNT  = 0", "GCOUNT  = 1", "TFIELDS = 0"]  # fmt: skip
    foreign = ["XTENSION= 'FOREIGN '", "BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 4000",
               "PCOUNT  = 11", "GCOUNT  = 2"]  # fmt: skip
    empty = by_hand([*SIMPLE, "NAXIS   = 0"])
    yield "a3dtable.fits", empty + by_hand(other, bytes(16))
    yield "foreign.fits", empty + by_hand(foreign, bytes(2 * 4011))
    for shape in ((3, 120, 200), (2, 3, 60, 70), (60, 70, 3), (400, 100, 4)):
        for dtype in ("u2", "f4", "u1"):
            label = "x".join(map(str, shape))
            yield f"cube-{label}-{dtype}.fits", written(fits.PrimaryHDU(pixels(dtype, shape)))


def checksums() -> Iterator[Odd]:
    """Sums as other writers put them: only one of them, as a number in blanks, or as minus zero."""
    for seed in range(20):
        header = fits.Header({"LONGTEXT": "x" * (10 * seed)})
        hdu = fits.PrimaryHDU(pixels("i2", (20, 30 + seed), seed), header)
        yield f"{seed}-datasum.fits", written(hdu, checksum="datasum")
        whole = written(hdu, checksum=True)
        yield f"{seed}.fits", whole
        at = whole.index(b"CHECKSUM=")
        yield f"{seed}-blanked.fits", whole[:at] + b" " * 80 + whole[at + 80 :]
    for word, zero in ((b"\0\0\0\0", "0"), (b"\xff\xff\xff\xff", "4294967295"), (b"\0\0\0\1", "1")):
        cards = [SIMPLE[0], "BITPIX  = 32", "NAXIS   = 1", "NAXIS1  = 1"]
        for text in (f"'{zero}'", f"'{zero:<10}'"):
            yield f"{zero}.fits", by_hand([*cards, f"DATASUM = {text}"], word)


def fpacked() -> Iterator[Odd]:
    kinds = ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1", "NOCOMPRESS")
    for kind, dtype, tile in itertools.product(
        kinds, ("u1", "i2", "u2", "i4", "f4", "f8"), (None, (10, 25))
    ):
        if kind == "PLIO_1" and dtype in ("f4", "f8", "u2"):
            continue
        image = np.random.default_rng(5).integers(0, 200, (30, 50)).astype(dtype)
        hdu = fits.CompImageHDU(image, compression_type=kind, tile_shape=tile)
        yield f"{kind}-{dtype}-{tile}.fits.fz", written(fits.PrimaryHDU(), hdu)
    noisy = pixels("f4", (30, 50))
    noisy[3, 4] = np.nan
    for method, sums in itertools.product((-1, 1, 2), (False, True)):
        hdu = fits.CompImageHDU(noisy, quantize_method=method, quantize_level=8)
        yield f"dither-{method}-{sums}.FITS.FZ", written(fits.PrimaryHDU(), hdu, checksum=sums)
    for area in (np.zeros((400, 500), "i2"), np.triu(np.full((400, 500), 900, "i2"))):
        for kind in ("RICE_1", "GZIP_1"):
            hdu = fits.CompImageHDU(area, compression_type=kind)
            yield f"black-{kind}.fits.fz", written(fits.PrimaryHDU(), hdu)
    cube = fits.CompImageHDU(pixels("i2", (3, 20, 30)) // 64, tile_shape=(1, 5, 30))
    yield "cube.fits.fz", written(fits.PrimaryHDU(), cube)
    yield "not-called-so.fits", written(fits.PrimaryHDU(), cube.copy())


def packed() -> Iterator[Odd]:
    for number, dtype in enumerate(("u2", "f4", "i4", "u1")):
        for content in (
            written(fits.PrimaryHDU(pixels(dtype, (40, 50))), checksum=bool(number % 2)),
            written(fits.PrimaryHDU(np.zeros((1000, 1200), dtype))),
            written(fits.PrimaryHDU(), *(fits.ImageHDU(pixels(dtype, (5, 6))) for _ in range(9))),
        ):
            half = len(content) // 2
            for level in (1, 9):
                yield f"{level}.fits.gz", gzip.compress(content, level, mtime=level)
                yield f"{level}.fit.bz2", bz2.compress(content, level)
            members = gzip.compress(content[:half]) + gzip.compress(content[half:])
            yield "members.FTS.GZ", members
            yield "tape.fits.gz", gzip.compress(content) + bytes(512)
            yield "streams.fits.bz2", bz2.compress(content[:half]) + bz2.compress(content[half:])
            named = io.BytesIO()
            with gzip.GzipFile("a name.fits", "wb", fileobj=named) as file:
                file.write(content)
            yield "named.fits.gz", named.getvalue()


def tiffs() -> Iterator[Odd]:
    for dtype, order, big in itertools.product(("u1", "u2", "f4", "i2", "u4"), "<>", (0, 1)):
        image = pixels(dtype, (64, 80))
        layouts: dict[str, dict[str, Any]] = {
            "plain": {},
            "strips": {"rowsperstrip": 7},
            "tiles": {"tile": (16, 32)},
            "zlib": {"compression": "zlib"},
            "zlib-tiles": {"compression": "zlib", "tile": (32, 32), "predictor": False},
        }
        for name, layout in layouts.items():
            file = io.BytesIO()
            tifffile.imwrite(
                file, image, byteorder=order, bigtiff=bool(big), photometric="minisblack", **layout
            )
            yield f"{name}-{dtype}{order}{big}.{'TIFF' if big else 'tif'}", file.getvalue()
    for planar, shape in (("contig", (60, 70, 3)), ("separate", (3, 60, 70))):
        file = io.BytesIO()
        tifffile.imwrite(file, pixels("u2", shape), photometric="rgb", planarconfig=planar)
        yield f"rgb-{planar}.tiff", file.getvalue()
    for pages in (2, 9):
        file = io.BytesIO()
        with tifffile.TiffWriter(file) as writer:
            for page in range(pages):
                writer.write(pixels("u2", (30, 40 + page)), photometric="minisblack")
        yield f"{pages}-pages.tif", file.getvalue()


def pillow_tiffs() -> Iterator[Odd]:
    grey = Image.fromarray(pixels("u1", (50, 60)))
    modes = {"L": grey, "1": grey.convert("1"), "RGB": Image.merge("RGB", (grey, grey, grey)),
             "I16": Image.fromarray(pixels("u2", (50, 60)))}  # fmt: skip
    for (mode, image), how in itertools.product(
        modes.items(), ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg")
    ):
        if how == "jpeg" and mode in ("1", "I16"):
            continue
        file = io.BytesIO()
        image.save(file, "TIFF", compression=None if how == "raw" else how)
        yield f"{how}-{mode}.tif", file.getvalue()
    for how in ("group3", "group4"):
        file = io.BytesIO()
        modes["1"].save(file, "TIFF", compression=how)
        yield f"{how}.tif", file.getvalue()


def zips() -> Iterator[Odd]:
    frame = written(fits.PrimaryHDU(pixels("u2", (20, 30))))
    names = ("a.fit", "a b.FIT", "sub/folder/a.fits", "Ω Cen.fts", "x" * 120 + ".fits")
    for method, name in itertools.product((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), names):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.mkdir("sub")
            archive.writestr(name, frame)
            archive.writestr("read me.txt", "")
            archive.comment = b"packed by hand"
        yield f"{method}.fit.zip", file.getvalue()
        with (
            zipfile.ZipFile(unseekable := Unseekable(), "w", method) as archive,
            archive.open(name, "w", force_zip64=True) as member,
        ):
            member.write(frame)
        yield f"{method}-streamed.fit.zip", unseekable.getvalue()


class Unseekable(io.BytesIO):
    """As when an archive is written into a connection: sizes follow their members."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation
