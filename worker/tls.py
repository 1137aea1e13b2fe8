"""TLS towards servers: the authorities that are trusted, and why a certificate is refused."""

import ssl
from pathlib import Path

_AUTHORITY_NEEDS = {
    86: "subjectKeyIdentifier",
    89: "a critical basicConstraints",
    92: "keyUsage",
}
"""What the authority's certificate lacks, by OpenSSL's X509_V_ERR_…. Since 3.13 Python checks as RFC 5280 §4.2 asks."""
_CERTIFICATE_NEEDS = {85: "authorityKeyIdentifier"}
_RENEW_AUTHORITY = (
    "renew the authority with the command, and trust ca-new.pem: printf 'basicConstraints=critical,CA:TRUE\\n"
    "keyUsage=critical,keyCertSign,cRLSign\\nsubjectKeyIdentifier=hash\\n' | openssl x509 -in ca.pem -signkey ca.key"
    " -clrext -days 3650 -extfile /dev/stdin -out ca-new.pem"
)
_RENEW_BOTH = (
    f"{_RENEW_AUTHORITY} && openssl x509 -x509toreq -in server.pem -signkey server.key -copy_extensions copyall |"
    " openssl x509 -req -copy_extensions copyall -CA ca-new.pem -CAkey ca.key -CAcreateserial -days 365"
    " -out server-new.pem"
)
"""A server's certificate names its authority by an identifier, which an old authority may not have."""


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the authority in this file, or those of the system, and nobody else.

    Raises:
        OSError: if the file cannot be read.
    """
    return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)


def reason_of_refusal(error: ssl.SSLCertVerificationError) -> str:
    """Say why the certificate is refused, and which extension it lacks."""
    reason = f"its certificate is refused: {error.verify_message}"
    if lacks := _AUTHORITY_NEEDS.get(error.verify_code):
        return f"{reason} (the authority's certificate lacks {lacks})"
    if lacks := _CERTIFICATE_NEEDS.get(error.verify_code):
        return f"{reason} (the server's certificate lacks {lacks})"
    return reason


def renewal(error: BaseException | None) -> str | None:
    """Give the command that adds the extension for which this error, or its cause, refused a certificate."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            if error.verify_code in _AUTHORITY_NEEDS:
                return _RENEW_AUTHORITY
            return _RENEW_BOTH if error.verify_code in _CERTIFICATE_NEEDS else None
        error = error.__cause__
    return None
