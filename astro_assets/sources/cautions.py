"""What has to be said of a source at each run, for it is not as safe as it could be."""

from astro_assets.settings import SourceSettings


def cautions(source: SourceSettings) -> tuple[str, ...]:
    """A sentence for each; none is as it should be."""
    if not getattr(source, "insecure_no_certificate_check", False):
        return ()
    sentence = (
        f"{source.name}: insecure_no_certificate_check is set: whoever stands in between can read "
        "the password and change frames; use ca_file or certificate_sha256 instead"
    )
    return (sentence,)
