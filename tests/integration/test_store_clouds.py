# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of Azure Blob Storage and Google Cloud Storage: credentials, refusals, lost responses."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Union

import pytest
from azure.storage.blob import generate_container_sas
from lifeboat.base.errors import (
    BucketMissing,
    ConfigError,
    DependencyMissing,
    LifeboatError,
    ObjectExists,
    StoreAccessDenied,
    StoreError,
    StoreUnavailable,
)
from lifeboat.config.cloud_options import AzureOptions, GcsOptions
from lifeboat.config.load import parse_repository
from lifeboat.config.traits import MIB
from lifeboat.provision import container
from lifeboat.provision.features import HOLDS, UNKNOWN, WEAKER
from lifeboat.store import open_store
from lifeboat.store.azure.client import connect as connect_azure
from support import faultproxy
from support.clouds import Azurite, FakeGcs
from support.faultproxy import Fault, FaultProxy
from support.stores import PART

pytestmark = pytest.mark.integration

CloudOptions = Union[AzureOptions, GcsOptions]


@pytest.fixture(params=["azure", "gcs"])
def options(request: pytest.FixtureRequest) -> CloudOptions:
    found: CloudOptions = request.getfixturevalue(f"{request.param}_options")
    return found


def at(options: CloudOptions, proxy: FaultProxy) -> CloudOptions:
    """The same store behind a proxy."""
    path = f"/{options.account}" if isinstance(options, AzureOptions) else ""
    return replace(options, endpoint_url=proxy.endpoint_url + path)


@pytest.fixture
def proxy(options: CloudOptions) -> Any:
    made = FaultProxy(int(options.endpoint.split(":")[2].split("/")[0]))
    yield made
    made.close()


def elsewhere(options: CloudOptions) -> CloudOptions:
    """A bucket that does not exist."""
    return replace(options, **{"container" if isinstance(options, AzureOptions) else "bucket": "not-there"})


@pytest.mark.parametrize("use", ["get", "head", "put", "list", "delete"])
def test_a_bucket_that_does_not_exist(options: CloudOptions, use: str) -> None:
    store = open_store(elsewhere(options))
    uses = {
        "put": lambda: store.put("x", b"1"),
        "list": lambda: list(store.list()),
        "delete": lambda: store.delete(["x"]),
    }
    if use == "delete" and isinstance(options, AzureOptions):
        pytest.skip("A batch of deletes is answered one by one, and each of them is told as not deleted.")
    with pytest.raises(BucketMissing, match="not-there"):
        uses.get(use, lambda: getattr(store, use)("x"))()


def test_a_closed_port(options: CloudOptions, proxy: FaultProxy) -> None:
    proxy.close()
    with pytest.raises(StoreUnavailable, match="no complete response") as caught:
        open_store(replace(at(options, proxy), max_attempts=1)).get("x")
    assert "endpoint_url" in caught.value.hint


def test_503_for_a_while_and_forever(options: CloudOptions, proxy: FaultProxy) -> None:
    store = open_store(replace(at(options, proxy), max_attempts=2))
    store.put("x", b"1")
    proxy.inject(Fault(faultproxy.STATUS, method="GET"))
    assert store.get("x") == b"1"
    proxy.inject(Fault(faultproxy.STATUS, times=99, method="GET"))
    with pytest.raises(StoreUnavailable) as caught:
        store.get("x")
    assert caught.value.details["http_status"] == 503


def test_404_of_something_else_is_no_missing_object(options: CloudOptions, proxy: FaultProxy) -> None:
    store = open_store(at(options, proxy))
    store.put("x", b"1")
    proxy.inject(Fault(faultproxy.STATUS, times=99, status=404))
    for use in (store.get, store.head):
        with pytest.raises(StoreError) as caught:
            use("x")
        assert type(caught.value) is StoreError


@pytest.mark.parametrize("size", [10, PART + 10])
def test_a_lost_answer_of_a_put(options: CloudOptions, proxy: FaultProxy, size: int) -> None:
    """The store has it, and the repeated request finds our own object: success. A rival's equal object is not."""
    if size > PART and isinstance(options, GcsOptions):
        pytest.skip("This server takes the question how much it has for the end of the upload.")
    target = "" if size < PART else "blocklist"
    method = "PUT" if isinstance(options, AzureOptions) else "POST"
    store, data = open_store(at(options, proxy)), os.urandom(size)
    proxy.inject(Fault(faultproxy.SWALLOW, method=method, target=target))
    with store.writer("x") as writer:
        writer.write(data)
    assert proxy.unused == 0
    assert store.get("x") == data
    proxy.inject(Fault(faultproxy.SWALLOW, method=method, target=target))
    with pytest.raises(ObjectExists):
        with store.writer("x") as writer:
            writer.write(data)


def test_an_answer_that_breaks_off(options: CloudOptions, proxy: FaultProxy) -> None:
    store, data = open_store(at(options, proxy)), os.urandom(3 * PART)
    with store.writer("x") as writer:
        writer.write(data)
    proxy.inject(Fault(faultproxy.CUT_ANSWER, method="GET", after=MIB))
    assert b"".join(store.read("x", hashlib.sha256(data).hexdigest(), len(data))) == data
    assert proxy.unused == 0


def test_a_key_that_is_wrong(azure_options: AzureOptions) -> None:
    wrong = replace(azure_options, account_key="d3Jvbmc=")
    with pytest.raises(StoreAccessDenied) as caught:
        open_store(wrong).get("x")
    assert "d3Jvbmc" not in str(caught.value) + repr(wrong)


def sas(azurite: Azurite, permission: str) -> str:
    """A shared access signature for the test container, valid for an hour."""
    return generate_container_sas(
        azurite.account, "tests", azurite.account_key, permission=permission,
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )  # fmt: skip


def test_a_sas_token(azurite: Azurite, azure_options: AzureOptions) -> None:
    """A signature that only allows to read and list."""
    open_store(azure_options).put("x", b"1")
    store = open_store(replace(azure_options, account_key=None, sas_token="?" + sas(azurite, "rl")))
    assert store.get("x") == b"1"
    assert [info.key for info in store.list()] == ["x"]
    with pytest.raises(StoreAccessDenied):
        store.put("y", b"1")


def test_the_tier_of_new_blobs(azure_options: AzureOptions) -> None:
    for key, size in (("small", 1), ("long", PART + 1)):
        with open_store(replace(azure_options, access_tier="Cool")).writer(key) as writer:
            writer.write(bytes(size))
        found = connect_azure(azure_options).blob(f"{azure_options.prefix}/{key}").get_blob_properties()
        assert found.blob_tier == "Cool"


def test_a_long_upload_to_google_names_its_condition_and_its_md5(gcs_options: GcsOptions, fake_gcs: FakeGcs) -> None:
    proxy = FaultProxy(fake_gcs.port)
    data = os.urandom(2 * PART)
    with open_store(at(gcs_options, proxy)).writer("x") as writer:
        writer.write(data)
    (begun,) = [target for method, target in proxy.requests if method == "POST"]
    assert "uploadType=resumable" in begun and "ifGenerationMatch=0" in begun
    proxy.close()


@pytest.mark.parametrize(
    ("library", "says"), [("azure.storage.blob", "azure-storage-blob"), ("google.auth", "google-auth")]
)
def test_a_library_that_is_absent(monkeypatch: pytest.MonkeyPatch, library: str, says: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    options = AzureOptions("a", "c", account_key="eA==") if "azure" in library else GcsOptions("b", access_token="x")
    with pytest.raises(DependencyMissing, match=says):
        open_store(options)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"type": "azure", "account": "a", "container": "c", "access_tier": "Archive"}, "access_tier"),
        ({"type": "azure", "account": "a", "container": "c", "account_key": ["hush"]}, "account_key is a value"),
        ({"type": "azure", "container": "c"}, "account is missing"),
        ({"type": "gcs", "bucket": "b", "service_account_key": 17}, "service_account_key is a value"),
    ],
)
def test_options_that_cannot_be(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse_repository(given)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (AzureOptions("a", "c", account_key="eA==", sas_token="x"), "account_key and sas_token"),
        (AzureOptions("a", "c", account_key="eA==", parallel=0), "parallel is 0"),
        (GcsOptions("b", access_token="x", part_size=100), "part_size is 100"),
        (GcsOptions("b", access_token="x", service_account_key="{}"), "service_account_key and access_token"),
        (GcsOptions("b", service_account_key='{"private_key": "hush"}'), "service_account_key cannot be used"),
        (GcsOptions("b", credentials_file="/nonexistent"), "credentials_file cannot be used"),
    ],
)
def test_options_that_do_not_fit_together(made: CloudOptions, says: str) -> None:
    with pytest.raises(LifeboatError, match=says) as caught:
        open_store(made)
    assert isinstance(caught.value, ConfigError)
    assert "hush" not in str(caught.value)


def test_no_secret_in_a_repr() -> None:
    azure = AzureOptions("a", "c", account_key="hush", sas_token="hush")
    google = GcsOptions("b", service_account_key=json.dumps({"private_key": "hush"}), access_token="hush")
    assert "hush" not in repr((azure, google))


def test_a_service_account_key_is_taken(tmp_path: Path) -> None:
    """The text of a key and the file of one; nothing is sent yet."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = json.dumps(
        {
            "type": "service_account", "project_id": "p", "client_email": "lifeboat@example.com",
            "private_key": private.decode(), "token_uri": "http://127.0.0.1:9/token",
        }
    )  # fmt: skip
    path = tmp_path / "key.json"
    path.write_text(key)
    for made in (GcsOptions("b", service_account_key=key), GcsOptions("b", credentials_file=str(path))):
        with pytest.raises((StoreUnavailable, StoreAccessDenied)):
            open_store(replace(made, max_attempts=1)).get("x")


def states(options: CloudOptions, apply: bool = True) -> dict[str, str]:
    prepared = (container.apply if apply else container.plan)(options)
    assert prepared.changes == () and prepared.before == prepared.after
    return {feature.name: feature.state for feature in prepared.features}


def test_features_of_a_container(options: CloudOptions) -> None:
    found = states(options)
    assert found["writer_writes"] == found["create_only"] == HOLDS
    assert found["tls_only"] == found["writer_cannot_delete"] == WEAKER
    assert list(open_store(options).list()) == []
    assert states(options, apply=False)["create_only"] == UNKNOWN
    with pytest.raises(BucketMissing):
        container.apply(elsewhere(options))


def test_hosts_that_may_not_write(azurite: Azurite, azure_options: AzureOptions) -> None:
    found = states(replace(azure_options, account_key=None, sas_token=sas(azurite, "rl")))
    assert found["writer_writes"] == WEAKER and found["create_only"] == UNKNOWN


def test_hosts_that_may_not_delete(azurite: Azurite, azure_options: AzureOptions) -> None:
    found = states(replace(azure_options, account_key=None, sas_token=sas(azurite, "rlc")))
    assert found["writer_writes"] == found["create_only"] == found["writer_cannot_delete"] == HOLDS
