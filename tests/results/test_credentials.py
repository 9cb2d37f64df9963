"""Credentials for S3 are found where AWS's own tools look."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from distmarl.errors import ResultsError
from distmarl.results.storage.credentials import s3_options
from distmarl.results.storage.opening import open_location
from tests.object_store import ObjectStore


@pytest.fixture(autouse=True)
def home(tmp_path: Path, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home folder without credentials; there are none in the environment either."""
    assert object_store  # which has put some there
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    return tmp_path / ".aws"


CREDENTIALS = """\
[default]
aws_access_key_id = AKID-default
aws_secret_access_key = 100%secret

[work]
aws_access_key_id = AKID-work
aws_secret_access_key = secret
aws_session_token = token
"""
CONFIG = """\
[default]
region = eu-south-2
[profile work]
region = eu-north-1
[profile role]
role_arn = arn:aws:iam::1:role/some
source_profile = default
region = eu-west-3
"""


def signed_with(store: ObjectStore, **options: str) -> tuple[str, str]:
    """Return the key and the region that a request is signed with."""
    seen: list[str] = []
    with store.failing(lambda request: seen.append(request.get("HTTP_AUTHORIZATION", "unsigned"))):
        open_location(store.uri(f"{store.new_bucket()}/x", **options)).names()
    found = re.search(r"Credential=([^/]+)/\d+/([^/]+)/s3", seen[-1])
    return (found[1], found[2]) if found else (seen[-1], "")


def test_a_profile_is_read_from_aws_own_files(
    home: Path, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "credentials").write_text(CREDENTIALS)
    (home / "config").write_text(CONFIG)
    assert signed_with(object_store) == ("AKID-default", "eu-south-2")
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert signed_with(object_store) == ("AKID-work", "eu-north-1")
    assert s3_options()["session_token"] == "token"
    assert signed_with(object_store, region="sa-east-1") == ("AKID-work", "sa-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-1")
    assert signed_with(object_store) == ("AKID-work", "us-west-1")


def test_the_environment_comes_first(home: Path, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "credentials").write_text(CREDENTIALS)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID-here")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert signed_with(object_store) == ("AKID-here", "us-east-1")


def test_the_files_may_lie_elsewhere(
    tmp_path: Path, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").write_text(CREDENTIALS)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "mine"))
    assert signed_with(object_store)[0] == "AKID-default"


def test_without_any_a_request_is_not_signed(object_store: ObjectStore) -> None:
    assert signed_with(object_store) == ("unsigned", "")


def test_a_profile_without_keys_is_left_to_boto3(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Credentials:
        access_key, secret_key, token = "AKID-role", "secret", "token"

        def get_frozen_credentials(self) -> Credentials:
            return self

    class Boto3:
        def __init__(self, profile_name: str) -> None:
            assert profile_name == "role"

        def get_credentials(self) -> Credentials:
            return Credentials()

    (home / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_PROFILE", "role")
    monkeypatch.setattr("boto3.Session", Boto3)
    options = s3_options()
    assert options["region"] == "eu-west-3"
    assert options["credential_provider"]()["access_key_id"] == "AKID-role"


@pytest.mark.parametrize(
    ("profile", "config", "message"),
    [
        (
            "role",
            CONFIG,
            "AWS_PROFILE: the profile 'role' has no keys of its own, and to get them takes boto3; pip install",
        ),
        ("nobody", CONFIG, "AWS_PROFILE: there is no profile 'nobody' in ~/.aws/credentials or ~/.aws/config"),
        ("role", "role_arn = a", "config: cannot be read as a file of AWS's profiles: MissingSectionHeaderError"),
    ],
)
def test_a_profile_that_cannot_be_used_is_a_message(
    home: Path, monkeypatch: pytest.MonkeyPatch, profile: str, config: str, message: str
) -> None:
    (home / "config").write_text(config)
    monkeypatch.setenv("AWS_PROFILE", profile)
    modules: dict[str, Any] = sys.modules
    monkeypatch.setitem(modules, "boto3", None)
    with pytest.raises(ResultsError) as refused:
        open_location("s3://bucket/x?endpoint_override=127.0.0.1:1")
    assert message in str(refused.value)
