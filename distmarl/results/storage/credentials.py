"""Credentials for S3, from where AWS's own tools look; obstore itself does not read their files."""

from __future__ import annotations

import importlib
import os
from configparser import ConfigParser
from configparser import Error as ConfigFileError
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from distmarl.errors import ResultsError

KEYS = {"aws_access_key_id": "access_key_id", "aws_secret_access_key": "secret_access_key"}
TOKEN = {"aws_session_token": "session_token"}
# In the environment, these come before any file; obstore reads them.
FIRST = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE")
LAST = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
# What a profile may have in place of keys; boto3 knows what to do with it.
OTHER_WAYS = ("sso_session", "sso_start_url", "role_arn", "credential_process", "credential_source", "login_session")
KEEP_FOR = timedelta(minutes=5)


def s3_options() -> dict[str, Any]:
    """Return what obstore's S3Store is to be told of the profile in use: its region, and its keys or who knows them.

    Raises
    ------
    ResultsError
        When a profile that was asked for is not there, or needs boto3.
    """
    asked_for = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    profile = _profile(asked_for or "default")
    region = (
        {"region": profile["region"]} if "region" in profile and not _has("AWS_REGION", "AWS_DEFAULT_REGION") else {}
    )
    if _has(*FIRST):
        return region
    if set(KEYS) <= set(profile):
        return {**region, **{ours: profile[theirs] for theirs, ours in {**KEYS, **TOKEN}.items() if theirs in profile}}
    if set(OTHER_WAYS) & set(profile):
        return {**region, "credential_provider": _Boto3(asked_for or "default")}
    if asked_for and not profile:
        raise ResultsError(f"AWS_PROFILE: there is no profile {asked_for!r} in ~/.aws/credentials or ~/.aws/config")
    if not _has(*LAST) and os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return {**region, "skip_signature": True}  # nobody to ask: what is public can still be read
    return region


class _Boto3:
    """Asks boto3 for the credentials of a profile, again before they end."""

    def __init__(self, profile: str) -> None:
        try:
            boto3 = importlib.import_module("boto3")
        except ImportError:
            raise ResultsError(
                f"AWS_PROFILE: the profile {profile!r} has no keys of its own, and to get them takes boto3; "
                'pip install boto3, or set the keys: eval "$(aws configure export-credentials --format env)"'
            ) from None
        self._credentials = boto3.Session(profile_name=profile).get_credentials()

    def __call__(self) -> dict[str, Any]:
        now = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(timezone.utc) + KEEP_FOR,
        }


def _profile(name: str) -> dict[str, str]:
    """Return what the files say of a profile; keys in the file of credentials come first."""
    config = _section("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}")
    return {**config, **_section("AWS_SHARED_CREDENTIALS_FILE", "credentials", name)}


def _section(variable: str, file: str, section: str) -> dict[str, str]:
    path = Path(os.environ.get(variable) or Path("~/.aws", file)).expanduser()
    parser = ConfigParser(interpolation=None, default_section="none of these")
    try:
        parser.read(path, encoding="utf-8")
    except (ConfigFileError, UnicodeDecodeError, OSError) as error:
        raise ResultsError(f"{path}: cannot be read as a file of AWS's profiles: {type(error).__name__}") from None
    return dict(parser[section]) if parser.has_section(section) else {}


def _has(*variables: str) -> bool:
    return any(os.environ.get(name) for name in variables)
