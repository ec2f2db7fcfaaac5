# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``wal-push`` and ``wal-fetch`` as PostgreSQL calls them: real segments, real stores, all that goes wrong."""

from __future__ import annotations

import shutil
import socket
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest
import zstandard
from lifeboat.config.load import DirectoryOptions, S3Options, StoreOptions
from lifeboat.repository.layout import Layout
from lifeboat.repository.repository import Repository
from lifeboat.wal.inventory import archived
from support import faultproxy
from support.faultproxy import Fault, FaultProxy
from support.postgres import Installation, Ran, Site, Sites, entry, free_port, until

pytestmark = pytest.mark.integration
MIB = 2**20
CANARY = "hunter2-canary"


@dataclass
class Yard:
    """A protected cluster, three of its segments, and commands with any set of repositories."""

    site: Site
    stash: Path
    names: List[str]
    work: Path = Path()

    @property
    def system(self) -> str:
        return self.site.cluster.system_identifier

    def content(self, number: int = 0) -> bytes:
        return (self.stash / self.names[number]).read_bytes()

    def config(self, *stores: StoreOptions, optional: int = 99, **changes: Any) -> Path:
        """A configuration with these repositories; that with the number ``optional`` is not required."""
        entries = [{**entry(i, s), "required": i != optional} for i, s in enumerate(stores)]
        return self.site.write(self.work / "lifeboat.yml", repositories=entries, **changes)

    def directory(self, name: str = "repository") -> DirectoryOptions:
        (self.work / name).mkdir(exist_ok=True)
        return DirectoryOptions(str(self.work / name))

    def file(self, name: str, content: bytes) -> Path:
        path = self.work / "files" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def push(self, config: Path, path: Optional[Path] = None, status: int = 0, cwd: Optional[Path] = None) -> Ran:
        return self.site.lifeboat(
            "wal-push", str(path or self.stash / self.names[0]), status=status, config_file=config,
            cwd=cwd or self.site.cluster.data_dir,
        )  # fmt: skip

    def fetch(
        self, config: Path, name: str = "", status: int = 0, to: str = "fetched", cwd: Optional[Path] = None
    ) -> Ran:
        return self.site.lifeboat(
            "wal-fetch", name or self.names[0], str(self.work / to), status=status, config_file=config,
            cwd=cwd or self.site.cluster.data_dir,
        )  # fmt: skip

    @property
    def fetched(self) -> bytes:
        return (self.work / "fetched").read_bytes()

    def key(self, name: str = "") -> str:
        return Layout("main").wal(self.system, name or self.names[0])

    def stored(self, store: DirectoryOptions, name: str = "") -> Path:
        """The file of a segment in a directory."""
        return Path(store.path) / self.key(name)


@pytest.fixture(scope="module")
def whole_yard(module_sites: Sites, newest_postgres: Installation, tmp_path_factory: pytest.TempPathFactory) -> Yard:
    site = module_sites(newest_postgres, segment_mb=1, name="wal")
    stash = tmp_path_factory.mktemp("stash")
    names = [site.cluster.switch_wal() for _ in range(3)]
    system = site.cluster.system_identifier
    for name in names:
        stored = Path(site.repositories[0]["path"]) / Layout("main").wal(system, name)
        (stash / name).write_bytes(zstandard.ZstdDecompressor().decompress(stored.read_bytes()))
    site.cluster.stop()
    return Yard(site, stash, names)


@pytest.fixture
def yard(whole_yard: Yard, tmp_path: Path) -> Yard:
    return replace(whole_yard, work=tmp_path)


def tree(root: Path) -> Dict[str, bytes]:
    """Every file below a directory with its content."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def quick(options: S3Options, **changes: Any) -> S3Options:
    """Gives up soon."""
    return replace(options, **{"connect_timeout": 1, "read_timeout": 1, "max_attempts": 1, **changes})


# --- wal-push ---------------------------------------------------------------------------------------------------


def test_a_segment_is_in_every_required_repository_and_comes_back(yard: Yard, s3_options: S3Options) -> None:
    directory = yard.directory()
    both = yard.config(directory, s3_options)
    pushed = yard.push(both).data
    assert (pushed["name"], pushed["already"]) == (yard.names[0], [])
    for store in (directory, s3_options):
        found = yard.fetch(yard.config(store)).data
        assert (found["found"], found["size"]) == (True, MIB)
        assert yard.fetched == yard.content()


def test_an_identical_segment_again_succeeds(yard: Yard, s3_options: S3Options) -> None:
    config = yard.config(yard.directory(), s3_options)
    yard.push(config)
    before = tree(yard.work / "repository")
    assert yard.push(config).data["already"] == ["repo0", "repo1"]
    assert tree(yard.work / "repository") == before


@pytest.mark.parametrize("kind", ["segment", "history"])
def test_different_content_under_the_same_name_is_refused_and_nothing_changes(yard: Yard, kind: str) -> None:
    store = yard.directory()
    config = yard.config(store)
    if kind == "segment":
        name, first = yard.names[0], yard.content()
        second = first[:-1] + bytes([first[-1] ^ 1])
    else:
        name, first, second = "00000002.history", b"1\t0/3000000\tone\n", b"1\t0/4000000\tother\n"
    yard.push(config, yard.file(name, first))
    before = tree(Path(store.path))
    error = yard.push(config, yard.file(name, second), status=1).error
    assert error["error_code"] == "wal_conflict"
    assert name in error["message"]
    assert store.path in error["message"]
    assert tree(Path(store.path)) == before


def test_a_damaged_copy_in_the_repository_is_no_identical_segment(yard: Yard) -> None:
    store = yard.directory()
    config = yard.config(store)
    yard.push(config)
    yard.stored(store).write_bytes(b"")
    assert yard.push(config, status=1).error["error_code"] == "wal_conflict"


def invalid_files(yard: Yard) -> Dict[str, bytes]:
    good, name = yard.content(), yard.names[0]
    foreign = good[:24] + struct.pack("=Q", 7) + good[32:]
    return {
        f"empty/{name}": b"",
        f"truncated/{name}": good[:-1],
        f"truncated to its header/{name}": good[:100],
        f"too long/{name}": good + b"\0",
        f"foreign/{name}": foreign,
        f"zeros/{name}": bytes(MIB),
        f"of another name/{yard.names[1]}": good,
        f"of another timeline/{'00000000' + name[8:]}": good,
        f"of no such segment/{name[:20]}FFFF": good,
        "history/00000002.history": b"no history\n",
        "empty history/00000002.history": b"",
        f"empty/{name}.partial": b"",
    }


def test_what_is_not_the_wal_that_its_name_says_is_refused_by_name(yard: Yard) -> None:
    store = yard.directory()
    config = yard.config(store)
    for case, content in invalid_files(yard).items():
        path = yard.work / case
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        error = yard.push(config, path, status=1).error
        assert error["error_code"] == "wal_invalid", case
        assert path.name in error["message"], case
    absent = yard.push(config, yard.work / yard.names[2], status=1).error
    assert (absent["error_code"], "No such file" in absent["message"]) == ("wal_invalid", True)
    other = yard.push(config, yard.file("RECOVERYXLOG", yard.content()), status=1).error
    assert (other["error_code"], "'RECOVERYXLOG'" in other["message"]) == ("config_invalid", True)
    assert not tree(Path(store.path))


def test_nothing_is_acknowledged_while_one_required_repository_is_down(yard: Yard, s3_options: S3Options) -> None:
    up, down = yard.directory("up"), quick(s3_options, endpoint_url=f"http://127.0.0.1:{free_port()}")
    error = yard.push(yard.config(up, down), status=1).error
    assert error["error_code"] == "store_unavailable"
    assert str(down.endpoint_url) in error["message"]
    unmounted = DirectoryOptions(str(yard.work / "unmounted"))
    error = yard.push(yard.config(unmounted, up), status=1).error
    assert (error["error_code"], unmounted.path in error["message"]) == ("bucket_missing", True)
    # Back again: what one repository has already is no obstacle.
    assert yard.push(yard.config(up, s3_options)).data["already"] == ["repo0"]
    yard.fetch(yard.config(s3_options))
    assert yard.fetched == yard.content()


def test_an_optional_repository_may_be_down(yard: Yard, s3_options: S3Options) -> None:
    dead = quick(s3_options, endpoint_url=f"http://127.0.0.1:{free_port()}")
    for down in (DirectoryOptions(str(yard.work / "unmounted")), dead):
        store = yard.directory(type(down).__name__)
        yard.push(yard.config(store, down, optional=1))
        assert yard.stored(store).exists()


def test_histories_labels_and_partial_segments_are_archived_too(yard: Yard, s3_options: S3Options) -> None:
    config = yard.config(s3_options)
    contents = {
        "00000002.history": b"1\t0/3000000\tno recovery target specified\n",
        f"{yard.names[0]}.00000028.backup": b"START WAL LOCATION: 0/2000028\n",
        f"{yard.names[0]}.partial": yard.content()[: MIB // 2],
    }
    for name, content in contents.items():
        yard.push(config, yard.file(name, content))
        yard.fetch(config, name)
        assert yard.fetched == content


def other_cluster(yard: Yard, system: int = 7) -> Path:
    """A data directory of another cluster, with a segment of its own in pg_wal."""
    root = yard.work / "other"
    (root / "global").mkdir(parents=True)
    (root / "pg_wal").mkdir()
    (root / "global" / "pg_control").write_bytes(struct.pack("=Q", system) + bytes(100))
    good = yard.content()
    (root / "pg_wal" / yard.names[0]).write_bytes(good[:24] + struct.pack("=Q", system) + good[32:])
    return root


def test_a_clone_may_not_archive(yard: Yard) -> None:
    store = yard.directory()
    clone = yard.work / "a clone"
    (clone / "global").mkdir(parents=True)
    shutil.copy(yard.site.cluster.data_dir / "global" / "pg_control", clone / "global")
    error = yard.push(yard.config(store), status=1, cwd=clone).error
    assert error["error_code"] == "clone_refused"
    assert str(clone) in error["message"]
    assert yard.site.data_dir in error["message"]
    assert "archive_mode = off" in error["hint"]
    assert not tree(Path(store.path))


def test_another_cluster_may_not_archive_into_this_repository(yard: Yard) -> None:
    store = yard.directory()
    yard.push(yard.config(store))
    before = tree(Path(store.path))
    other = other_cluster(yard)
    config = yard.config(store, data_dir=str(other))
    error = yard.push(config, Path("pg_wal") / yard.names[0], status=1, cwd=other).error
    assert error["error_code"] == "repository_foreign"
    assert "identifier 7" in error["message"]
    assert yard.system in error["message"]
    assert "--accept-new-system" in error["hint"]
    assert tree(Path(store.path)) == before


def test_no_data_directory_at_all(yard: Yard) -> None:
    config = yard.config(yard.directory(), data_dir=None)
    error = yard.push(config, status=1, cwd=yard.work).error
    assert (error["error_code"], str(yard.work) in error["message"]) == ("data_directory_refused", True)
    assert yard.fetch(config, status=254, cwd=yard.work).error["error_code"] == "data_directory_refused"


# --- wal-fetch --------------------------------------------------------------------------------------------------


def test_a_confirmed_missing_file_is_status_1(yard: Yard, s3_options: S3Options) -> None:
    for store in (yard.directory(), s3_options):
        config = yard.config(store)
        yard.push(config)
        for name in (yard.names[2], "00000009.history", f"{yard.names[0]}.partial", "RECOVERYXLOG"):
            ran = yard.fetch(config, name, status=1)
            assert ran.data == {"name": name, "found": False}
            assert not (yard.work / "fetched").exists()


Break = Callable[[S3Options], S3Options]


def closed_port(options: S3Options) -> S3Options:
    return replace(options, endpoint_url=f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("breaks", "code", "says"),
    [
        (closed_port, "store_unavailable", "127.0.0.1"),
        (lambda o: replace(o, bucket="no-such-bucket"), "bucket_missing", "no-such-bucket"),
        (lambda o: replace(o, secret_access_key=CANARY), "store_access_denied", "lifeboat-tests"),
        (lambda o: replace(o, prefix="elsewhere"), "repository_foreign", "elsewhere/main"),
    ],
    ids=["dead endpoint", "no bucket", "wrong keys", "wrong prefix"],
)
def test_a_doubt_is_never_the_end_of_wal(
    yard: Yard, s3_options: S3Options, breaks: Break, code: str, says: str
) -> None:
    yard.push(yard.config(s3_options))
    ran = yard.fetch(yard.config(breaks(quick(s3_options))), status=254)
    assert ran.error["error_code"] == code
    assert says in ran.error["message"]
    assert CANARY not in ran.stdout + ran.stderr
    assert not (yard.work / "fetched").exists()


def test_a_store_that_hangs_is_a_doubt_too(yard: Yard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = S3Options(
            "b", endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}", access_key_id="a", secret_access_key="s"
        )
        error = yard.fetch(yard.config(quick(options, read_timeout=0.5)), status=254).error
    assert error["error_code"] == "store_unavailable"
    assert str(options.endpoint_url) in error["message"]


def test_a_store_that_is_busy_for_a_while_is_asked_again(
    yard: Yard, s3_options: S3Options, fault_proxy: FaultProxy
) -> None:
    proxied = quick(s3_options, endpoint_url=fault_proxy.endpoint_url, read_timeout=5, max_attempts=3)
    config = yard.config(proxied)
    fault_proxy.inject(Fault(faultproxy.STATUS, times=1, method="PUT"))
    yard.push(config)
    fault_proxy.inject(Fault(faultproxy.STATUS, times=1, method="GET"))
    yard.fetch(config)
    assert yard.fetched == yard.content()
    assert fault_proxy.unused == 0


def damaged_objects(yard: Yard, good: bytes) -> Dict[str, bytes]:
    other = zstandard.ZstdCompressor(write_checksum=True).compress(yard.content(1))
    return {
        "empty": b"",
        "cut": good[:-1],
        "cut in half": good[: len(good) // 2],
        "flipped": good[:-20] + bytes([good[-20] ^ 1]) + good[-19:],
        "not compressed": yard.content(),
        "another segment": other,
        "more behind it": good + b"\0",
    }


def test_a_damaged_object_is_a_doubt_that_names_it(yard: Yard) -> None:
    store = yard.directory()
    config = yard.config(store)
    yard.push(config)
    stored = yard.stored(store)
    for case, content in damaged_objects(yard, stored.read_bytes()).items():
        stored.write_bytes(content)
        error = yard.fetch(config, status=254).error
        assert error["error_code"] in ("object_corrupt", "wal_invalid"), case
        assert yard.names[0] in error["message"], case
    history = yard.stored(store, "00000002.history")
    for content in (b"", b"\0\0\0\0", b"rubbish\n"):
        history.write_bytes(content)
        assert "00000002.history" in yard.fetch(config, "00000002.history", status=254).error["message"]
    assert not (yard.work / "fetched").exists()


def test_the_second_repository_serves_what_the_first_cannot(yard: Yard, s3_options: S3Options) -> None:
    first, second = yard.directory("first"), s3_options
    both = yard.config(first, second)
    yard.push(both)
    yard.stored(first).write_bytes(b"damaged")
    assert yard.fetch(both).data["repository"] == "repo1"
    yard.stored(first).unlink()
    assert yard.fetch(both).data["repository"] == "repo1"
    unmounted = DirectoryOptions(str(yard.work / "unmounted"))
    for down in (unmounted, closed_port(quick(s3_options)), replace(s3_options, secret_access_key=CANARY)):
        assert yard.fetch(yard.config(down, second)).data["repository"] == "repo1"
        assert yard.fetched == yard.content()
    # The other confirms that it is missing; the one that is down might have it.
    assert yard.fetch(yard.config(unmounted, second), yard.names[2], status=254).error["error_code"] == "bucket_missing"


def test_nowhere_to_put_it(yard: Yard) -> None:
    config = yard.config(yard.directory())
    yard.push(config)
    error = yard.fetch(config, status=254, to="no/such/directory/f").error
    assert (error["error_code"], "no/such/directory/f" in error["message"]) == ("wal_invalid", True)


def test_a_missing_configuration_is_no_end_of_wal(yard: Yard) -> None:
    absent = yard.work / "absent.yml"
    yard.site.write(yard.work / "x.yml")
    for status, run in ((254, yard.fetch), (1, yard.push)):
        error = run(absent, status=status).error
        assert (error["error_code"], str(absent) in error["message"]) == ("config_invalid", True)


# --- a server ---------------------------------------------------------------------------------------------------


def test_a_server_whose_store_is_down_for_a_while_loses_nothing(
    sites: Sites, newest_postgres: Installation, s3_options: S3Options, fault_proxy: FaultProxy
) -> None:
    options = quick(s3_options, endpoint_url=fault_proxy.endpoint_url, read_timeout=5)
    site = sites(newest_postgres, options, segment_mb=1, archive_timeout=0)
    cluster = site.cluster
    first = cluster.switch_wal()
    fault_proxy.inject(Fault(faultproxy.STATUS, times=10**6))
    names = []
    for number in range(3):
        names.append(str(cluster.value("SELECT pg_walfile_name(pg_current_wal_lsn())")))
        cluster.execute(f"CREATE TABLE t{number} AS SELECT generate_series(1, 1000)", "SELECT pg_switch_wal()")
    until(lambda: cluster.value("SELECT failed_count FROM pg_stat_archiver") >= 1, "a failure to be counted")
    assert cluster.value("SELECT last_archived_wal FROM pg_stat_archiver") == first
    assert "error_code" in cluster.log.read_text() or "store_unavailable" in cluster.log.read_text()
    fault_proxy.clear()
    last = cluster.switch_wal()
    repository = Repository.open(replace(site.config.repositories[0], store=s3_options), "main")
    found = sorted(s.name for s in archived(repository, cluster.system_identifier, [1], 0, MIB))
    assert found[0] <= first
    assert found[-1] == last
    assert set(names) <= set(found)
    numbers = [int(name[8:16], 16) * 4096 + int(name[16:], 16) for name in found]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
