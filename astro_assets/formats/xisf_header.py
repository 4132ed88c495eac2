"""The header of a monolithic XISF file (XISF 1.0, 9.2 and 11.5): its first image, in keywords.

What belongs here: the XML, within bounds, without a pixel. What does not: pixels (`xisf_pixels`).
"""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from astro_assets.errors import BrokenFile

_SIGNATURE = b"XISF0100"
_START = 16
_MAX_HEADER_BYTES = 16 * 2**20
_NAMESPACE = "{http://www.pixinsight.com/xisf}"
_BYTES = {
    "UInt8": 1, "Byte": 1, "UInt16": 2, "UShort": 2, "UInt32": 4, "UInt": 4, "Float32": 4,
    "Float": 4, "Float64": 8, "Double": 8,
}  # fmt: skip
_PROPERTIES = {
    "Instrument:ExposureTime": "EXPTIME",
    "Instrument:Camera:Name": "INSTRUME",
    "Instrument:Filter:Name": "FILTER",
    "Instrument:Sensor:Temperature": "CCD-TEMP",
    "Observation:Object:Name": "OBJECT",
    "Observation:Time:Start": "DATE-OBS",
}


@dataclass(frozen=True, slots=True)
class XisfHeader:
    """What is announced of the first image.

    width, height, channels : its geometry
    bytes_per_sample : of its sample format
    position, length : where its bytes lie in the file
    attributes : of the image, as they stand there
    keywords : FITS keywords, from its own and from XISF properties
    """

    width: int
    height: int
    channels: int
    bytes_per_sample: int
    position: int
    length: int
    attributes: dict[str, str]
    keywords: dict[str, str]

    @property
    def image_bytes(self) -> int:
        """What the pixels take when they are unpacked."""
        return self.width * self.height * self.channels * self.bytes_per_sample


def xisf_header(path: Path, name: str) -> XisfHeader:
    """Read the header of a file that is called ``name`` where it comes from.

    Raises
    ------
    BrokenFile : it is no XISF file, is cut, or announces what cannot be
    """
    with path.open("rb") as file:
        head = file.read(_START)
        length = int.from_bytes(head[8:12], "little")
        if not head.startswith(_SIGNATURE) or not 0 < length <= _MAX_HEADER_BYTES:
            raise BrokenFile(f"{name} is no XISF file: look at it")
        text = file.read(length).rstrip(b"\0")
    try:
        header = _described(_image(text))
    except (ET.ParseError, ValueError, KeyError, IndexError) as error:
        raise BrokenFile(
            f"{name} has no readable XISF header ({error}): ask the source for it again"
        ) from error
    if min(header.width, header.height, header.channels) < 1 or header.position < 0:
        raise BrokenFile(f"{name} announces an impossible image: look at it")
    return header


def _image(text: bytes) -> ET.Element:
    """The first image's element. An XISF header defines no entities: one that does is not read."""
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ValueError("it defines entities")
    image = ET.fromstring(text).find(f"{_NAMESPACE}Image")  # noqa: S314 - no entities, 16 MB
    if image is None:
        raise ValueError("it holds no image")
    return image


def _described(image: ET.Element) -> XisfHeader:
    width, height, channels = (int(part) for part in image.attrib["geometry"].split(":"))
    kind, *where = image.attrib["location"].split(":")
    if kind != "attachment":
        raise ValueError(f"its image is {kind}, where only attached ones are read")
    return XisfHeader(
        width=width,
        height=height,
        channels=channels,
        bytes_per_sample=_BYTES[image.attrib["sampleFormat"]],
        position=int(where[0]),
        length=int(where[1]),
        attributes=dict(image.attrib),
        keywords=_keywords(image),
    )


def _keywords(image: ET.Element) -> dict[str, str]:
    found: dict[str, str] = {}
    for card in image.iter(f"{_NAMESPACE}FITSKeyword"):
        name, value = card.attrib.get("name", ""), card.attrib.get("value", "")
        found.setdefault(name, value.strip().strip("'").strip())
    for entry in image.iter(f"{_NAMESPACE}Property"):
        name = _PROPERTIES.get(entry.attrib.get("id", ""), "")
        value = entry.attrib.get("value") or entry.text or ""
        if name and not found.get(name):
            found[name] = value.strip().removesuffix("Z")
    mosaic = image.find(f"{_NAMESPACE}ColorFilterArray")
    if mosaic is not None and not found.get("BAYERPAT"):
        found["BAYERPAT"] = mosaic.attrib.get("pattern", "")
    return {name: value for name, value in found.items() if value}
