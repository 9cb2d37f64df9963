"""Why a store could not be read or written, and what to do about it."""

from __future__ import annotations

import errno
import os
import re

from distmarl.errors import ResultsError

# What a store, or obstore, says of a failed request, and what that means to a user.
REASONS = {
    r"<Code>NoSuchBucket|ContainerNotFound|specified bucket does not exist": (
        "there is no such bucket; create it, or name another one"
    ),
    r"169\.254\.|metadata\.google\.internal": (
        "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (for other stores, "
        "what their own tools read)"
    ),
    r"40[13] (?:Forbidden|Unauthorized)": (
        "the credentials are refused; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
        "to ones that may list, read, write and delete there"
    ),
    r"HTTP error": "the store cannot be reached; is the endpoint right?",
}
CODES = (r"<Code>(\w+)</Code>", r"(HTTP error: [^\n]*)", r"code: (\d{3} [\w ]+)")

OTHER_FOLDER = "choose another folder with --out"
SPACE = "free some and run the same command again: what was committed is kept"
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
# Of what could not be written.
REMEDIES = {errno.ENOSPC: SPACE, errno.EDQUOT: SPACE, **dict.fromkeys(FORBIDDEN, OTHER_FOLDER)}


class NotWritableError(ResultsError):
    """A place may be read, perhaps, but not written."""


def forbids_writing(error: Exception) -> bool:
    """Return whether a write failed since it is not allowed."""
    return getattr(error, "errno", None) in FORBIDDEN or "403 Forbidden" in str(error)


def reason_of(error: Exception, *, is_write: bool = False) -> str:
    """Return why something failed, in a few words and with what to do about it."""
    if isinstance(error, OSError) and error.errno is not None:
        remedy = REMEDIES.get(error.errno) if is_write else None
        return os.strerror(error.errno) + (f"; {remedy}" if remedy else "")
    message = str(error).partition("\n\nDebug source")[0]
    for pattern, reason in REASONS.items():
        if re.search(pattern, message):
            found = next(filter(None, (re.search(code, message) for code in CODES)), None)
            return f"{reason} ({found[1]})" if found else reason
    return re.sub(r"\s+", " ", message).strip()
