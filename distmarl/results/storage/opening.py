"""From what a user types to where results lie.

Credentials come from the environment, as the store's own tools read them; a URI that carries
some is refused, since URIs end up in logs, in the lock and in the provenance.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
from pyarrow import fs

from distmarl.errors import ResultsError
from distmarl.paths import is_utf8, printable, typed_path
from distmarl.results.storage.location import LocalFolder, Location
from distmarl.results.storage.reasons import reason_of

URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
SECRET = re.compile(r"key|secret|token|password|signature", re.IGNORECASE)

# A store that does not answer is given up after about half a minute.
CONNECT_TIMEOUT_S = 3
REQUEST_TIMEOUT_S = 5
MAX_ATTEMPTS = 5

Place: TypeAlias = Location | Path | str


def is_on_disk(place: str) -> bool:
    """Return whether a place is a path, or the URI of one, without looking at it."""
    return not URI.match(place) or place.startswith("file:")


def open_location(place: Place) -> Location:
    """Return where results lie.

    Parameters
    ----------
    place : str, Path or Location
        A path, whose ``~`` is expanded, or a URI that pyarrow knows: ``file:///...``, ``s3://bucket/prefix``, with
        ``?endpoint_override=...&scheme=http&region=...`` if need be, ``gs://``, ``abfs://``, ``hdfs://``.

    Raises
    ------
    ResultsError
        When it is none of these, or carries credentials.
    """
    if isinstance(place, Location):
        return place
    text = str(place)
    if not URI.match(text):
        return LocalFolder(typed_path(text, ResultsError))
    if not is_utf8(text):
        raise ResultsError(f"{printable(text)}: is not UTF-8 text")
    name = _name_without_credentials(text)
    try:
        filesystem, path = fs.FileSystem.from_uri(text)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ImportError, OSError) as error:
        known = "a path, or a URI of pyarrow's such as file:///folder or s3://bucket/prefix"
        raise ResultsError(f"{name}: cannot be opened: {reason_of(error)}; it must be {known}") from error
    if filesystem.type_name == "local":
        return LocalFolder(path)
    if not path:
        raise ResultsError(f"{name}: names no bucket; it must be of the form s3://bucket/prefix")
    return Location(_patient_s3(filesystem) if filesystem.type_name == "s3" else filesystem, path, name, typed=text)


def _name_without_credentials(uri: str) -> str:
    """Return a URI without its options; one that carries credentials is refused."""
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise ResultsError(f"the place of the results is not a URI: {error}") from None
    host = parts.netloc.rpartition("@")[2]
    is_user = "@" in parts.netloc and parts.scheme == "s3"  # in others that can be a container
    options = [option for option, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if parts.password is not None or is_user or any(SECRET.search(option) for option in options):
        raise ResultsError(
            f"{parts.scheme}://{host}{parts.path}: the URI carries credentials, which would end up in logs and in "
            "the provenance; put them into the environment, for S3 as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _patient_s3(filesystem: fs.FileSystem) -> fs.FileSystem:
    """Return an S3 file system with options that a URI has no words for, made again as a copy of it is.

    Writing in the background is what makes a failed upload fail: in the foreground, pyarrow goes on to
    publish the object without the piece that failed. Opened late, an object of up to 10 MB is one
    request instead of three.
    """
    _, (options,) = filesystem.__reduce__()
    ours = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "request_timeout": REQUEST_TIMEOUT_S,
        "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=MAX_ATTEMPTS),
        "background_writes": True,
        "allow_delayed_open": True,
    }
    return fs.S3FileSystem(**{**options, **ours})
