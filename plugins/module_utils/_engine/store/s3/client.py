# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create the botocore clients of one S3 store, call them, and retry.

Works with botocore 1.29 (Debian 12) and newer. botocore's *standard* retry mode retries requests after a 5xx,
``SlowDown``, reset or timeout, with a jittered back-off; a 4xx is final. The time limit is ``max_attempts`` times
(``connect_timeout`` or ``read_timeout``) plus the back-off (each at most 20 s); except for uploads, a store that does
not respond at all is given up after a minute.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any, Callable, Dict, Iterator, Mapping, Optional

from ...base import clock
from ...base.errors import ConfigError, StoreAccessDenied
from ...config.load import S3Options
from ...config.store_options import ARCHIVE_CLASSES
from ...config.transit import refuse_clear_text
from ..protocol import Term
from . import sdk
from .credentials import Rotating
from .errors import S3_FAILURES, Place, is_certificate_failure, translate
from .slow import SteadyBody, send_steadily

_UPLOADS = ("UploadPart", "CompleteMultipartUpload", "PutObject")
#: Seconds.
SILENCE = 60.0
_CREATE_ONLY = ("PutObject", "CompleteMultipartUpload")
_NO_LOCK = "Enable Object Lock on the bucket (the role repository does), or remove object_lock from the repository."


@dataclass(frozen=True)
class Connection:
    """A thread-safe client, with the parameters of every request.

    ``create_only`` has, for each S3 operation, the parameters that make it refuse to replace an object.
    """

    session: Rotating
    place: Place
    options: S3Options
    create_only: Mapping[str, Mapping[str, str]]
    term: Optional[Term] = None

    @property
    def client(self) -> Any:
        """The client with the most recently loaded credentials."""
        return self.session.client

    @property
    def prefix(self) -> str:
        """What every full key begins with: empty, or ending in ``/``."""
        bare = self.options.prefix.strip("/")
        return f"{bare}/" if bare else ""

    def pages(self, prefix: str, **params: Any) -> Iterator[Any]:
        """The answers to ``ListObjectsV2`` below a relative prefix, page by page."""
        token: Dict[str, str] = {}
        while True:
            page = self.call("list_objects_v2", Prefix=self.prefix + prefix, **params, **token)
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def call(self, method: str, key: str = "", **params: Any) -> Any:
        """Send one request about a full key (empty: about the bucket), with failures translated."""
        operation: str = self.client.meta.method_to_api_mapping[method]
        if key:
            params["Key"] = key
        client = self.client
        try:
            # A new body for each attempt, because it is read to its end.
            body = {"Body": SteadyBody(params["Body"])} if "Body" in params else {}
            return getattr(client, method)(Bucket=self.options.bucket, **{**params, **body})
        except S3_FAILURES as exc:
            error = translate(exc, self.place, operation, key)
            if isinstance(error, StoreAccessDenied) and self.session.renewed(client):
                return self.call(method, key, **{k: v for k, v in params.items() if k != "Key"})
            if "ObjectLockMode" in params and error.details.get("http_status") in (400, 501):
                error.hint = f"{error.hint} {_NO_LOCK}".strip()
            raise error from exc

    def call_create_only(self, method: str, key: str, **params: Any) -> Any:
        """:meth:`call` with ``If-None-Match: *``: the store refuses if the key is taken."""
        return self.call(method, key, **params, **self.create_only[self.client.meta.method_to_api_mapping[method]])

    def object_params(self) -> Dict[str, str]:
        """Parameters of new objects: encryption at rest and storage class."""
        options = self.options
        named = {
            "ServerSideEncryption": options.sse,
            "SSEKMSKeyId": options.sse_kms_key_id,
            "StorageClass": options.storage_class,
        }
        return {name: value for name, value in named.items() if value}

    def lock_params(self, name: str) -> Dict[str, Any]:
        """Parameters of the lock of a new object with this key (relative to the prefix)."""
        term = self.term(name) if self.term and self.options.object_lock else None
        if term is None:
            return {}
        return {
            "ObjectLockMode": str(self.options.object_lock).upper(),
            "ObjectLockRetainUntilDate": clock.now() + term,
        }

    def close(self) -> None:
        self.client.close()


@dataclass(frozen=True)
class Identities:
    """The users of the account that owns the bucket (AWS' IAM API, where a store has it)."""

    client: Any
    place: Place

    def call(self, method: str, user: str, **params: Any) -> Any:
        """Send one request about a user, with failures translated."""
        operation: str = self.client.meta.method_to_api_mapping[method]
        try:
            return getattr(self.client, method)(UserName=user, **params)
        except S3_FAILURES as exc:
            raise translate(exc, self.place, operation, user, "iam") from exc

    def close(self) -> None:
        self.client.close()


def connect(options: S3Options, term: Optional[Term] = None) -> Connection:
    """Create the client; sends nothing. Options that cannot work are a ``ConfigError``.

    ``term``: for how long a new object is locked, by its key.
    """
    create_only: Dict[str, Mapping[str, str]] = {}

    def make() -> Any:
        client = _s3_client(options)
        send_steadily(client)
        create_only.update(_create_only(client))
        return client

    session = Rotating(make)
    return Connection(session, Place(options.bucket, session.client.meta.endpoint_url), options, create_only, term)


def _s3_client(options: S3Options) -> Any:
    client = _client("s3", options)
    events = client.meta.events
    events.register("before-call.s3.DeleteObjects", _add_content_md5)
    events.register_first("needs-retry.s3", _never_retry_certificates)
    events.register_first("needs-retry.s3", _end_silence(options.read_timeout))
    return client


def connect_iam(options: S3Options) -> Identities:
    """The IAM client of the same account, at ``endpoint_url`` or else AWS."""
    client = _client("iam", options)
    return Identities(client, Place(options.bucket, client.meta.endpoint_url))


def _client(service: str, options: S3Options) -> Any:
    _check(options)
    try:
        session = sdk.Session(profile=options.profile)
        session.register_component("data_loader", _descriptions(session.get_config_variable("data_path")))
        region = options.region or session.get_config_variable("region")
        client = session.create_client(
            service,
            endpoint_url=options.endpoint_url,
            region_name=region or ("us-east-1" if options.endpoint_url else None),
            aws_access_key_id=options.access_key_id,
            aws_secret_access_key=options.secret_access_key,
            aws_session_token=options.session_token,
            verify=(options.ca_bundle or None) if options.validate_certs else False,
            config=_client_config(options),
        )
        # An endpoint may come from the environment too (AWS_ENDPOINT_URL).
        refuse_clear_text(client.meta.endpoint_url, options.allow_http, f"Bucket {options.bucket!r}")
        return client
    except (sdk.exceptions.BotoCoreError, ValueError) as exc:
        raise ConfigError(
            f"Cannot create a client of {service} for bucket {options.bucket!r}: {exc}.",
            "Check endpoint_url, region and profile.",
            bucket=options.bucket,
        ) from exc


@cache
def _descriptions(path: Optional[str]) -> Any:
    """The loader of botocore's descriptions of services, shared by the process: reading them takes 0.1 s of CPU."""
    return sdk.create_loader(path)


def _check(options: S3Options) -> None:
    if bool(options.access_key_id) != bool(options.secret_access_key):
        raise ConfigError(
            f"Bucket {options.bucket!r}: only one of access_key_id and secret_access_key is set.",
            "Set both, or neither to use the standard credential chain.",
        )
    if options.sse_kms_key_id and options.sse != "aws:kms":
        raise ConfigError(
            f"Bucket {options.bucket!r}: sse_kms_key_id is set while sse is {options.sse!r}.", "Set sse to 'aws:kms'."
        )
    if options.storage_class in ARCHIVE_CLASSES:
        raise ConfigError(
            f"Bucket {options.bucket!r}: storage_class is {options.storage_class!r}, but objects of archive classes are"
            " readable only hours after a request, and those that list the backups are read all the time.",
            "Choose a class whose objects are read at once: GLACIER_IR or STANDARD_IA.",
            storage_class=options.storage_class,
        )
    if options.ca_bundle and not os.path.exists(options.ca_bundle):
        raise ConfigError(f"ca_bundle {options.ca_bundle!r} does not exist.", "Give the path of a PEM file.")
    for name in ("part_size", "parallel", "max_attempts", "connect_timeout", "read_timeout"):
        if getattr(options, name) <= 0:
            raise ConfigError(f"{name} is {getattr(options, name)}.", "It must be greater than zero.")


def _client_config(options: S3Options) -> Any:
    tls = (options.endpoint_url or "https:").lower().startswith("https:")
    known: Dict[str, Any] = {
        "connect_timeout": options.connect_timeout,
        "read_timeout": options.read_timeout,
        "retries": {"mode": "standard", "total_max_attempts": options.max_attempts},
        "max_pool_connections": max(32, 4 * options.parallel),  # several transfers share the client
        # Over TLS the CRC-32 of each request suffices; over plain HTTP the body is signed too.
        "s3": {"addressing_style": options.addressing_style, **({"payload_signing_enabled": False} if tls else {})},
    }
    # We send our own checksums as plain headers, which older S3-compatible stores understand too.
    newer = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
    try:
        return sdk.Config(**known, **newer)
    except TypeError:  # botocore before 1.36
        return sdk.Config(**known)


def _create_only(client: Any) -> Mapping[str, Mapping[str, str]]:
    """``IfNoneMatch`` if the client knows the parameter; before botocore 1.35 an event adds the header."""
    params: Dict[str, Mapping[str, str]] = {}
    for operation in _CREATE_ONLY:
        if "IfNoneMatch" in client.meta.service_model.operation_model(operation).input_shape.members:
            params[operation] = {"IfNoneMatch": "*"}
        else:
            client.meta.events.register(f"before-call.s3.{operation}", _add_if_none_match)
            params[operation] = {}
    return params


def _add_if_none_match(params: Dict[str, Any], **_: Any) -> None:
    params["headers"]["If-None-Match"] = "*"


def _add_content_md5(params: Dict[str, Any], **_: Any) -> None:
    """Add the MD5: newer clients send a CRC instead, but some S3-compatible stores require the MD5."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()


def _never_retry_certificates(caught_exception: Optional[BaseException] = None, **_: Any) -> None:
    if caught_exception is not None and is_certificate_failure(caught_exception):
        raise caught_exception


def _end_silence(read_timeout: float) -> Callable[..., None]:
    """Give up after a minute if a store accepts requests but never responds, however many attempts are left.

    Uploads use all attempts: it may be the last part after hours.
    """

    def check(
        attempts: int = 0, caught_exception: Optional[BaseException] = None, event_name: str = "", **_: Any
    ) -> None:
        silent = isinstance(caught_exception, sdk.exceptions.ReadTimeoutError)
        if silent and attempts * read_timeout >= SILENCE and not event_name.endswith(_UPLOADS):
            raise caught_exception  # type: ignore[misc]

    return check


def checksum_params(data: bytes) -> Dict[str, str]:
    """The CRC-32 with which the store checks the received bytes (``PutObject``, ``UploadPart``)."""
    return {
        "ChecksumAlgorithm": "CRC32",
        "ChecksumCRC32": base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode(),
    }


def back_off(attempt: int) -> None:
    """Wait before a retry, after ``attempt`` failures (from 1): a random time of at most 5 seconds."""
    clock.sleep(random.uniform(0, min(5.0, 0.25 * 2**attempt)))  # noqa: S311 - jitter, not a secret
