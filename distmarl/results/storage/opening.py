"""From what a user types to where results lie.

Credentials come from the environment, as the store's own tools read them; a URI that carries
some is refused, since URIs end up in logs, in the lock and in the provenance.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
from pyarrow import fs

from distmarl.errors import ResultsError
from distmarl.paths import is_utf8, printable, typed_path
from distmarl.results.storage.credentials import s3_options
from distmarl.results.storage.disk import LocalFolder
from distmarl.results.storage.location import Location
from distmarl.results.storage.reasons import reason_of

URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
SECRET = re.compile(r"key|secret|token|password|signature", re.IGNORECASE)

# A store that does not answer is given up after about half a minute.
CONNECT_TIMEOUT_S = 3
REQUEST_TIMEOUT_S = 10
RETRY_FOR_S = 30
MAX_ATTEMPTS = 5
DOWNLOAD_TIMEOUT_S = 3600

Place: TypeAlias = Location | Path | str


def is_on_disk(place: str) -> bool:
    """Return whether a place is a path, or the URI of one, without looking at it."""
    return not URI.match(place) or place.startswith("file:")


def open_location(place: Place) -> Location:
    """Return where results lie.

    Parameters
    ----------
    place : str, Path or Location
        A path, whose ``~`` is expanded, or a URI, of the forms that pyarrow knows: ``file:///...``,
        ``s3://bucket/prefix``, with ``?endpoint_override=...&scheme=http&region=...`` if need be, ``gs://``, ``abfs://``.

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
        known = "a path, or a URI such as file:///folder or s3://bucket/prefix"
        raise ResultsError(f"{name}: cannot be opened: {reason_of(error)}; it must be {known}") from error
    if filesystem.type_name == "local":
        return LocalFolder(path)
    if not path:
        raise ResultsError(f"{name}: names no bucket; it must be of the form s3://bucket/prefix")
    if filesystem.type_name not in STORES:
        raise ResultsError(
            f"{name}: {filesystem.type_name} is no store that refuses to replace what it is not told of: two drivers "
            "could lose each other's rows; take a path, or a URI of s3://, gs:// or abfs://"
        )
    from distmarl.results.storage.bucket import Bucket  # and with it obstore, which takes a moment

    bucket, _, prefix = path.strip("/").partition("/")
    _, (options,) = filesystem.__reduce__()
    # What pyarrow reads from a URI but does not hand on.
    options["verify"] = dict(parse_qsl(urlsplit(text).query)).get("tls_verify_certificates", "true") != "false"
    try:
        return Bucket(STORES[filesystem.type_name](bucket, options), bucket, prefix, name, text)
    except Bucket.faults as error:
        raise ResultsError(f"{name}: cannot be opened: {reason_of(error)}") from error


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


def _s3(bucket: str, options: dict[str, Any]) -> Callable[[float], Any]:
    """Return what connects to a bucket of S3, or of a store that speaks its language."""
    from obstore.store import S3Store

    endpoint = options["endpoint_override"]  # of the URI, else of the environment
    if endpoint and "://" not in endpoint:
        endpoint = f"{options['scheme']}://{endpoint}"
    ours = {**s3_options(), "bucket": bucket}
    if endpoint:
        ours["aws_endpoint_url_s3"] = endpoint  # or else obstore would prefer that of the environment
    if options["region"]:
        ours["region"] = options["region"]
    client: dict[str, Any] = {"allow_http": True, "allow_invalid_certificates": not options["verify"]}
    if options["tls_ca_file_path"]:
        client["root_certificate"] = Path(options["tls_ca_file_path"]).read_bytes()
    return lambda longer_s: S3Store(**ours, **_patience(longer_s, **client))


def _gcs(bucket: str, options: dict[str, Any]) -> Callable[[float], Any]:
    """Return what connects to a bucket of Google's."""
    from obstore.store import GCSStore

    ours: dict[str, Any] = {"skip_signature": True} if options["anonymous"] else {}
    if options["endpoint_override"]:
        ours["base_url"] = f"{options['scheme']}://{options['endpoint_override']}"
    return lambda longer_s: GCSStore(bucket, **ours, **_patience(longer_s, allow_http=True))


def _azure(container: str, options: dict[str, Any]) -> Callable[[float], Any]:
    """Return what connects to a container of Azure's."""
    from obstore.store import AzureStore

    ours: dict[str, Any] = {"account_name": options["account_name"]}
    authority = options["blob_storage_authority"]
    if not authority.startswith(".blob.core.") or options["blob_storage_scheme"] != "https":
        host = f"{options['account_name']}{authority}" if authority.startswith(".") else authority
        ours["endpoint"] = f"{options['blob_storage_scheme']}://{host}"
    if shutil.which("az") and not any(name.startswith(("AZURE_", "IDENTITY_", "MSI_")) for name in os.environ):
        ours["use_azure_cli"] = True
    return lambda longer_s: AzureStore(container, **ours, **_patience(longer_s, allow_http=True))


def _patience(longer_s: float, **client: Any) -> dict[str, Any]:
    """Return how long to wait for a store, and how often to ask again."""
    return {
        "client_options": {
            **client,
            "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
            "read_timeout": timedelta(seconds=REQUEST_TIMEOUT_S + longer_s),
            "timeout": timedelta(seconds=DOWNLOAD_TIMEOUT_S),
        },
        "retry_config": {"max_retries": MAX_ATTEMPTS - 1, "retry_timeout": timedelta(seconds=RETRY_FOR_S)},
    }


STORES: dict[str, Callable[[str, dict[str, Any]], Callable[[float], Any]]] = {"s3": _s3, "gcs": _gcs, "abfs": _azure}
