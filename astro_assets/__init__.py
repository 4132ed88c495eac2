"""Every night's frames, from the telescopes to colour pictures."""

__version__ = "0.1.0"
