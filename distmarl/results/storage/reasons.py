"""Why a store could not be read or written, and what to do about it."""

from __future__ import annotations

import errno
import os
import re

from distmarl.errors import ResultsError

# What pyarrow says of a failed request, and what that means to a user.
REASONS = {
    r"NO_SUCH_BUCKET": "there is no such bucket; create it, or name another one",
    r"ACCESS_DENIED|ACCESS_KEY|SIGNATURE|TOKEN|CREDENTIAL|HTTP status 40[13]": (
        "the credentials are refused; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
        "to ones that may list, read, write and delete there"
    ),
    r"NETWORK_CONNECTION": "the store cannot be reached; is the endpoint right?",
}

OTHER_FOLDER = "choose another folder with --out"
SPACE = "free some and run the same command again: what was committed is kept"
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
# Of what could not be written.
REMEDIES = {errno.ENOSPC: SPACE, errno.EDQUOT: SPACE, **dict.fromkeys(FORBIDDEN, OTHER_FOLDER)}


class NotWritableError(ResultsError):
    """A place may be read, perhaps, but not written."""


def forbids_writing(error: OSError) -> bool:
    """Return whether a write failed since it is not allowed."""
    return error.errno in FORBIDDEN or ("AWS Error" in str(error) and "ACCESS_DENIED" in str(error))


def reason_of(error: Exception, *, is_write: bool = False) -> str:
    """Return why something failed, in a few words and with what to do about it."""
    message = str(error)
    for pattern, reason in REASONS.items():
        if "AWS Error" in message and re.search(pattern, message):
            detail = re.search(r"AWS Error (\w+).*?(?:Details: (.*)|$)", message, re.DOTALL)
            words = [word for word in (detail.groups() if detail else ()) if word]
            return f"{reason} ({': '.join(words)})"
    if isinstance(error, OSError) and error.errno is not None:
        remedy = REMEDIES.get(error.errno) if is_write else None
        return os.strerror(error.errno) + (f"; {remedy}" if remedy else "")
    return message
