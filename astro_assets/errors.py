"""The whole exception tree.

What belongs here: every error that this package raises on purpose. What does not: translation
into an orchestrator's terms (`defs.failures`) or into an exit status (`cli`).

    AstroAssetsError
    ├── NothingToDo              no input, and that is fine
    ├── SettingsError            a file, a key, and what was expected
    ├── Transient                trying again helps
    │   ├── SourceUnreachable    no connection, or it broke
    │   ├── ListingFailed        the server did not say what is there (never "nothing there")
    │   ├── TransferCut          fewer bytes, or other bytes, than announced
    │   ├── NotReady             the far side has not made it yet; at once it would not help
    │   ├── StorageFailed        our own disk is full, read-only or failing
    │   └── CameraFailed         an exposure failed, hung, or the camera is gone
    ├── Permanent                trying again does not help; somebody has to look
    │   ├── LoginRefused
    │   ├── IdentityRefused      the certificate or the host key is not the one we trust
    │   ├── RequestRefused       an observation that cannot be made, or that the site does not take
    │   ├── NoSolverIndex        no index file covers this pixel scale
    │   ├── NoMatchingMaster     a calibration that is required is not there
    │   └── FramesApart          the frames do not share one field
    └── Unusable                 one file is set aside with its reason; the others go on
        ├── BrokenFile           its structure is not whole
        ├── UnsafeName           a path that would leave the tree
        ├── MissingHeader        a keyword that nothing can fill
        └── NotSolved            no place on the sky fits the frame's stars
"""

from pathlib import Path


class AstroAssetsError(Exception):
    """Base of the tree. Its text is one sentence for a user: what, where, what to do."""


class NothingToDo(AstroAssetsError):
    """There is no input for this product, and that is not a fault."""


class SettingsError(AstroAssetsError):
    """A setting is missing, misspelt or impossible.

    Parameters
    ----------
    file : the settings file
    key : dotted name of the key, such as ``sources[2].host``; empty for the file as a whole
    expected : what to write there, as a clause
    """

    def __init__(self, file: Path, key: str, expected: str) -> None:
        self.file = file
        self.key = key
        self.expected = expected
        where = f"{file}: {key}" if key else f"{file}"
        super().__init__(f"{where}: {expected}")

    def __reduce__(self) -> tuple[type["SettingsError"], tuple[Path, str, str]]:
        return type(self), (self.file, self.key, self.expected)


class Transient(AstroAssetsError):
    """Trying again helps."""


class SourceUnreachable(Transient):
    """No connection to the source, or the connection broke."""


class ListingFailed(Transient):
    """The source did not say what it holds. Never to be read as an empty listing."""


class TransferCut(Transient):
    """The bytes that arrived are not the bytes that were announced."""


class NotReady(Transient):
    """The far side has not finished it, or asks for patience: later, not at once."""


class StorageFailed(Transient):
    """The disk that frames land on does not take them."""


class CameraFailed(Transient):
    """The camera did not do what it was told, or not in time."""


class Permanent(AstroAssetsError):
    """Trying again does not help."""


class LoginRefused(Permanent):
    """The source refuses the credentials."""


class IdentityRefused(Permanent):
    """The source's certificate or host key is not one that we trust."""


class RequestRefused(Permanent):
    """An observation cannot be made, or the site does not take the request for it."""


class NoSolverIndex(Permanent):
    """No astrometric index file serves this pixel scale."""


class NoMatchingMaster(Permanent):
    """A calibration that the recipe requires is not there."""


class FramesApart(Permanent):
    """The frames lie too far from one another on the sky for one picture."""


class Unusable(AstroAssetsError):
    """One file cannot be used; it is set aside with this reason and the others go on."""


class BrokenFile(Unusable):
    """The file's structure is not whole."""


class UnsafeName(Unusable):
    """The name would lead out of the tree that it belongs in."""


class MissingHeader(Unusable):
    """The frame lacks a keyword that neither its name nor its source can fill."""


class NotSolved(Unusable):
    """No place on the sky fits the frame's stars."""
