"""The table of faults as data: what goes wrong, at which sources, and what has to come of it.

What belongs here: the rows. What does not: how a row is shown (the tests beside), the report
(`matrix`).
"""

from dataclasses import dataclass

SOURCES = {
    "F": "iTelescope, FTPS",
    "V": "Vespera, FTP",
    "H": "telescope.org, HTTPS",
    "S": "Pi, SFTP",
    "L": "the disk frames land on",
}
ALL = "FVHS"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of fault.

    where : a letter for each place at which it must be shown
    expect : R tried again, exact bytes; Q quarantined with its reason; X refused before secrets or
        data move; D left for later; K both kept
    """

    title: str
    where: str
    expect: str


ROWS: dict[int, Row] = {
    1: Row("226, but the body is short by one byte or by half", "FV", "R"),
    2: Row("TLS ends without close_notify", "F", "R"),
    3: Row("reset at 0, 1, 50 and 99 %", ALL, "R"),
    4: Row("silence while the socket stays open", ALL, "time-out <= 60 s, R"),
    5: Row("the control connection dies, the data go on", "FV", "R"),
    6: Row("421, 425, 426, 450 against 530, 550", "FV", "R against Q, 530 asked once"),
    7: Row("more bytes than listed", ALL, "Q"),
    8: Row("short Content-Length, cut chunk, no length", "H", "R, R, proof by the archive or Q"),
    9: Row("a page with status 200 in the place of the zip", "H", "one new log-in, R"),
    10: Row("the image engine never gets ready", "H", "bounded, D"),
    11: Row("429 and 503 with Retry-After", "H", "obeyed"),
    12: Row("taking up a download of a file that changed", "FVS", "starts at 0"),
    13: Row("the size in stat is not the real one", "S", "time-out, Q"),
    14: Row("fetching again fails over a good copy", ALL, "the copy is intact"),
    15: Row("listed, but may not be read", "FVS", "no empty file"),
    16: Row("one poisoned file among 100", ALL, "99 land"),
    17: Row("a file that grows", ALL, "D until it rests"),
    18: Row("a writer pauses for long, then goes on", "VS", "K"),
    19: Row("same size and time, other bytes", "S", "K by the manifest's hash"),
    20: Row("gone after the listing", ALL, "noted, the others land"),
    21: Row("a listing that is cut, empty or broken off", "FV", "no absence inferred, told"),
    22: Row("100 000 entries", "FVS", "<= 5 s, <= 300 MB"),
    23: Row("no MLSD: Unix and DOS lines, blanks in names", "V", "the same set"),
    24: Row("31 December, 29 February, LIST's half year", "V", "no future date, nothing again"),
    25: Row("clock at 1970 or 2036, time zones of 14 h", "VS", "nothing skipped"),
    26: Row("a late file within the last second seen", ALL, "picked up"),
    27: Row("Latin-1, line ends, NUL, direction marks in a name", "FVS", "only that one Q"),
    28: Row(".FIT .fts .Fits .fits.fz .tiff", ALL, "all found"),
    29: Row("names that differ by case only", ALL, "K"),
    30: Row("one name in two folders, two darks", "V", "K"),
    31: Row(
        "names that climb, are absolute, linked or very long", ALL, "Q, nothing outside touched"
    ),
    32: Row("a zip cut, with a wrong CRC, with junk before it, encrypted", "FH", "R or Q"),
    33: Row("a zip's member that climbs, or is a link", "FH", "Q"),
    34: Row("two members of one name", "FH", "K or Q"),
    35: Row("bombs: zip, gzip, overlapping members, NAXIS 200000 x 200000", ALL, "Q, bounded"),
    36: Row("FITS cut in header, data or padding; no bytes at all", ALL, "Q"),
    37: Row("CHECKSUM wrong or absent", ALL, "Q, or marked as unverified"),
    38: Row("a hole of zeros without a checksum", "FV", "Q by its long run of zeros"),
    39: Row("a file that crashes a decoder", ALL, "the child dies, Q"),
    40: Row("ENOSPC and EIO at each write, fsync, close", "L", "nothing published, R later"),
    41: Row("SIGKILL at each step", "L", "converges, nothing twice"),
    42: Row("data that were not synced are lost", "L", "published means whole"),
    43: Row("two runs, two processes, one file", "L", "published once, recorded once"),
    44: Row("another file system, read-only, no permission", "L", "a clear failure"),
    45: Row("certificate self-signed, expired, of another host", "FH", "X, no password sent"),
    46: Row("AUTH TLS or PROT P refused", "F", "X"),
    47: Row("session reuse required, 20 transfers, TLS 1.2 and 1.3", "F", "20 of 20"),
    48: Row("PASV names another address", "FV", "ignored"),
    49: Row("host key unknown, or another one", "S", "X"),
    50: Row("a redirect off the host, or to http", "H", "no cookie sent"),
    51: Row("a canary secret in a reply, a trace, an address", ALL, "0 hits anywhere"),
    52: Row("the far file changes before its deletion", "VS", "not deleted"),
}


def required() -> set[tuple[int, str]]:
    """Every cell that has to be shown."""
    return {(number, letter) for number, row in ROWS.items() for letter in row.where}
