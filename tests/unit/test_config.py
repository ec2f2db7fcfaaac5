# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration: errors give the path of a wrong key, type or choice, and no secret is ever shown."""

from __future__ import annotations

import copy
import traceback
from pathlib import Path
from typing import Any, Dict, List, Union

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError
from lifeboat.config.load import Config, DirectoryOptions, S3Options, load, parse

CANARY = "hunter2-canary"
GOOD: Dict[str, Any] = {
    "cluster": "main",
    "data_dir": "/data",
    "connection": {"host": "/run", "port": 5433, "user": "u", "password": CANARY},
    "backup": {"compression_level": 3, "compress_at": "client", "wal_timeout": 5},
    "objectives": {"rpo": 60, "window": 7.5},
    "repositories": [
        {
            "name": "cloud",
            "type": "s3",
            "bucket": "b",
            "secret_access_key": CANARY,
            "session_token": CANARY,
            "parallel": 2,
        },
        {"type": "directory", "path": "/mnt", "required": False},
    ],
}


def changed(path: List[Union[str, int]], value: Any) -> Dict[str, Any]:
    data = copy.deepcopy(GOOD)
    place: Any = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return data


def test_a_good_configuration() -> None:
    config = parse(GOOD, source="/etc/x.yml")
    assert (config.cluster, config.connection.port, config.backup.wal_timeout) == ("main", 5433, 5.0)
    assert [(r.name, r.required) for r in config.repositories] == [("cloud", True), ("repo1", False)]
    assert [r.name for r in config.required] == ["cloud"]
    assert isinstance(config.repositories[0].store, S3Options)
    assert config.repositories[1].store == DirectoryOptions("/mnt")
    assert (config.source, config.command, config.objectives.rto) == ("/etc/x.yml", "lifeboat", None)


def test_what_is_always_zstd_has_a_level_of_its_own() -> None:
    assert parse(GOOD).backup.zstd_level == 3
    assert parse(changed(["backup"], {"compression": "lz4", "compression_level": 9})).backup.zstd_level == 1
    with pytest.raises(ConfigError, match="compression_level is 13"):
        parse(changed(["backup"], {"compression": "lz4", "compression_level": 13}))


def test_a_policy_that_says_nothing_keeps_each_kind_for_its_days() -> None:
    sets = [{"name": "shop", "paths": ["/srv/shop"], "kind": "data"}, {"name": "etc", "paths": ["/etc/shop"]}]
    policy = parse({**changed(["retention"], {}), "file_sets": sets}).retention
    days = {kind: policy.days_of(kind) for kind in ("full", "incremental", "differential")}
    assert days == {"full": 30, "incremental": 7, "differential": 7}
    assert (policy.wal_days, policy.dump_days, policy.audit_days, policy.damaged_days) == (7, 30, 365, 90)
    assert (policy.days_of_set("etc"), policy.days_of_set("shop"), policy.days_of_set("gone")) == (90, 30, 90)
    # What the policy says by name goes before what the set is.
    named = {"data_days": 40, "file_sets": {"etc": 14}}
    policy = parse({**changed(["retention"], named), "file_sets": sets}).retention
    assert (policy.days_of_set("etc"), policy.days_of_set("shop")) == (14, 40)
    policy = parse({**changed(["retention"], {**named, "file_sets": {"shop": 5}}), "file_sets": sets}).retention
    assert policy.days_of_set("shop") == 5


def test_none_is_not_given() -> None:
    assert parse(changed(["backup"], None)).backup.compress_at == "auto"
    assert parse(changed(["connection", "port"], None)).connection.port == 5432


@pytest.mark.parametrize(("key", "meant"), [("hots", "Did you mean connection.host? Known"), ("xyzzy", "Known opt")])
def test_an_unknown_option_gets_the_nearest_name(key: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(changed(["connection", key], "x"))
    assert caught.value.hint.startswith(meant)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["clusters"], "x", "unknown option clusters"),
        (["connection", "hots"], "x", "unknown option connection.hots"),
        (["backup", "level"], 1, "unknown option backup.level"),
        (["objectives", "RPO"], 1, "unknown option objectives.RPO"),
        (["repositories", 0, "pth"], "x", "unknown option repositories[0].pth"),
        (["repositories", 1, "bucket"], "x", "unknown option repositories[1].bucket"),
        (["cluster"], None, "cluster is missing"),
        (["repositories", 0, "bucket"], None, "repositories[0].bucket is missing"),
        (["repositories", 1, "path"], None, "repositories[1].path is missing"),
        (["cluster"], 7, "cluster is 7 (int)"),
        (["cluster"], "a/b", "cluster is 'a/b'"),
        (["cluster"], "../x", "cluster is '../x'"),
        (["cluster"], "main\n", "cluster is 'main\\n'"),
        (["cluster"], "", "cluster is ''"),
        (["connection", "port"], "5432", "connection.port is '5432' (str)"),
        (["connection", "port"], True, "connection.port is True (bool)"),
        (["connection"], "postgres://u@h/db", "connection must be a mapping, not str"),
        (["backup"], [], "backup must be a mapping, not list"),
        (["backup", "wal_timeout"], "long", "backup.wal_timeout is 'long' (str)"),
        (["backup", "compress_at"], "both", "backup.compress_at is 'both'"),
        (["backup", "compression"], "gzip", "backup.compression is 'gzip'"),
        (["backup", "compression_level"], 23, "backup.compression_level is 23"),
        (["backup", "checkpoint"], "slow", "backup.checkpoint is 'slow'"),
        (["retention"], {"full": 14}, "unknown option retention.full"),
        (["retention"], {"keep_last": 0}, "retention.keep_last is 0"),
        (["retention"], {"wal_days": -1}, "retention.wal_days is -1"),
        (["retention"], {"file_sets": {"data": "long"}}, "retention.file_sets.data is 'long'"),
        (["retention"], {"file_sets": 30}, "retention.file_sets is 30 (int)"),
        (["retention"], {"data_days": "long"}, "retention.data_days is 'long'"),
        (["file_sets"], [{"name": "a", "paths": ["/a"], "kind": "logs"}], "file_sets[0].kind is 'logs'"),
        (["retention"], {"grace_hours": 0.5}, "retention.grace_hours is 0.5"),
        (["retention"], {"full_days": "forever"}, "retention.full_days is 'forever' (str)"),
        (["repositories"], None, "'repositories' must be a list"),
        (["repositories"], [], "'repositories' must be a list"),
        (["repositories"], {"type": "s3"}, "'repositories' must be a list"),
        (["repositories", 0], "s3://bucket", "repositories[0] must be a mapping, not str"),
        (["repositories", 0, "type"], "ftp", "repositories[0].type is 'ftp'"),
        (["repositories", 0, "type"], ["s3"], "repositories[0].type is ['s3']"),
        (["repositories", 0, "type"], None, "repositories[0].type is None"),
        (["repositories", 0, "sse"], "AES128", "repositories[0].sse is 'AES128'"),
        (["repositories", 0, "addressing_style"], "dns", "repositories[0].addressing_style is 'dns'"),
        (["repositories", 0, "validate_certs"], "no", "repositories[0].validate_certs is 'no' (str)"),
        (["repositories", 0, "parallel"], 2.5, "repositories[0].parallel is 2.5 (float)"),
        (["repositories", 0, "max_upload_kb"], 0, "repositories[0].max_upload_kb is 0"),
        (["repositories", 0, "max_download_kb"], "fast", "repositories[0].max_download_kb is 'fast'"),
        (["repositories", 0, "max_lag"], 0, "repositories[0].max_lag is 0"),
        (["repositories", 0, "max_lag"], "1h", "repositories[0].max_lag is '1h'"),
        (["repositories", 0, "required"], "yes", "repositories[0].required is 'yes'"),
        (["repositories", 0, "required"], False, "no repository is required"),
        (["repositories", 1, "name"], "cloud", "two repositories share a name (cloud, cloud)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(path: List[Union[str, int]], value: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(changed(path, value), source="/etc/x.yml")
    assert caught.value.message.startswith("/etc/x.yml: ")
    assert says in caught.value.message
    assert caught.value.hint
    assert CANARY not in str(caught.value)


SECRETS = [["connection", "password"], ["repositories", 0, "secret_access_key"], ["repositories", 0, "session_token"]]


@pytest.mark.parametrize("path", SECRETS, ids=lambda path: path[-1])
@pytest.mark.parametrize("value", [[CANARY], {"x": CANARY}, 5])
def test_a_secret_of_a_wrong_type_is_named_and_not_shown(path: List[Union[str, int]], value: Any) -> None:
    with pytest.raises(ConfigError, match=str(path[-1])) as caught:
        parse(changed(path, value))
    assert CANARY not in str(caught.value)
    assert "is a value (" in caught.value.message


def test_repr_hides_every_secret() -> None:
    config = parse(GOOD)
    for text in (repr(config), str(config), f"{config.connection} {config.repositories[0]}"):
        assert CANARY not in text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    ),
    st.data(),
)
def test_nonsense_is_a_config_error_and_nothing_else(value: Any, data: st.DataObject) -> None:
    paths: List[List[Union[str, int]]] = [[k] for k in GOOD]
    paths += [["connection", k] for k in GOOD["connection"]] + [["repositories", 0, k] for k in GOOD["repositories"][0]]
    try:
        assert isinstance(parse(changed(data.draw(st.sampled_from(paths)), value)), Config)
    except ConfigError as exc:
        assert CANARY not in str(exc)


# --- the file ---------------------------------------------------------------------------------------------------


def test_a_file_is_read_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "main.yml"
    path.write_text(yaml.safe_dump(GOOD))
    assert load(str(path)).source == str(path)
    assert load(str(path)) == parse(GOOD, source=str(path))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not a YAML mapping"),
        (b"- a\n", "is not a YAML mapping"),
        (b"a: b: c\n", "is not valid YAML"),
        (b"cluster: \xff\xfe\n", "is not valid YAML"),
        (b"cluster: 2026-99-99\n", "is not valid YAML"),
        (b"? [a]\n: b\n", "is not valid YAML"),
        (b"\x00", "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "main.yml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        load(str(path))
    assert str(path) in caught.value.message


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.yml", tmp_path):
        with pytest.raises(ConfigError, match="Cannot read the configuration file") as caught:
            load(str(path))
        assert str(path) in caught.value.message


@pytest.mark.parametrize("start", ["*", "!", "&a *", "%", "@", "`", "'", '"', "[", "{", "|", "a: ", "!!int "])
def test_an_unquoted_password_that_breaks_yaml_is_not_shown(tmp_path: Path, start: str) -> None:
    path = tmp_path / "main.yml"
    path.write_text(f"cluster: main\nconnection:\n  password: {start}{CANARY}\n")
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    assert str(path) in caught.value.message
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_yaml_error_tells_where_and_what(tmp_path: Path) -> None:
    path = tmp_path / "main.yml"
    path.write_text("cluster: main\nrepositories: a: b\n")
    with pytest.raises(ConfigError, match="line 2, column 16: mapping values are not allowed here"):
        load(str(path))


def test_sealed_wal_is_not_streamed_in_clear() -> None:
    with pytest.raises(ConfigError, match=r"wal\.stream stores the unfinished segment unsealed"):
        parse({**GOOD, "seal": {"recipients": ["age1example"]}, "wal": {"stream": True}})


@pytest.mark.parametrize(
    "words", ["host=a password={}", "PASSWORD = {}", "postgresql://u:{}@a/", "host=a\nsslpassword={}"]
)
def test_a_password_of_a_primary_is_refused_and_not_shown(words: str) -> None:
    data = {**GOOD, "standby": {"primary_conninfo": words.format(CANARY)}}
    with pytest.raises(ConfigError, match=r"standby\.primary_conninfo") as caught:
        parse(data)
    assert CANARY not in str(caught.value) + repr(caught.value.details)


def test_the_file_of_a_primarys_password_is_accepted() -> None:
    words = "host=a user=r passfile=/x sslmode=verify-full"
    assert parse({**GOOD, "standby": {"primary_conninfo": words}}).standby.primary_conninfo == words
