"""Dask workers: over TLS, refused without the right certificate, and a worker that dies loses nothing."""

import datetime
import ipaddress
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dask.config
import distributed
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.workers.dask import DaskWorkers
from pipeline.workers.tasks import Limits, WorkerError
from tests.imports import ROOT

pytestmark = pytest.mark.slow
assert distributed.__version__, "its settings must be known before they are changed"
LIMITS = Limits(seconds=60.0)


class Authority:
    """A certificate authority of one's own.

    Args:
        folder: for its files ``ca.pem``, ``own.pem`` and ``own.key``.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.files = {"ca": folder / "ca.pem", "cert": folder / "own.pem", "key": folder / "own.key"}
        key, name = ec.generate_private_key(ec.SECP256R1()), _named("authority")
        own = ec.generate_private_key(ec.SECP256R1())
        constraint = x509.BasicConstraints(ca=True, path_length=0)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        root = _built(name, name, key.public_key()).add_extension(constraint, critical=True)
        leaf = _built(_named("dask"), name, own.public_key()).add_extension(address, critical=False)
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        self.files["ca"].write_bytes(root.sign(key, hashes.SHA256()).public_bytes(pem))
        self.files["cert"].write_bytes(leaf.sign(key, hashes.SHA256()).public_bytes(pem))
        self.files["key"].write_bytes(own.private_bytes(pem, form, serialization.NoEncryption()))

    @property
    def options(self) -> list[str]:
        """Of ``dask scheduler`` and ``dask worker``."""
        return [
            *("--tls-ca-file", str(self.files["ca"])),
            *("--tls-cert", str(self.files["cert"])),
            *("--tls-key", str(self.files["key"])),
        ]

    @property
    def settings(self) -> dict[str, str]:
        """Of the stages: what ``DASK_DISTRIBUTED__COMM__TLS__…`` sets."""
        client = {f"distributed.comm.tls.client.{role}": str(self.files[role]) for role in ("cert", "key")}
        return {"distributed.comm.tls.ca-file": str(self.files["ca"]), **client}


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _built(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


@contextmanager
def cluster(protocol: str, options: Sequence[str], *, num_workers: int = 1) -> Iterator[str]:
    """A scheduler and workers, each a process of its own, on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"{protocol}://127.0.0.1:{port}"
    worker = ["worker", address, "--no-dashboard", "--nthreads", "1", "--no-nanny", *options]
    scheduler = ["scheduler", "--host", address, "--no-dashboard", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen([sys.executable, "-m", "dask", *command], stderr=subprocess.DEVNULL, env=environment)
        for command in [scheduler, *[worker] * num_workers]
    ]
    try:
        yield address
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_tasks_travel_over_tls_and_strangers_are_refused(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    with cluster("tls", ours.options) as address:
        with dask.config.set(ours.settings):
            assert dict(DaskWorkers(address, LIMITS, patience_seconds=60).map(abs, [-1, -2])) == {0: 1, 1: 2}
        with dask.config.set(theirs.settings), pytest.raises(WorkerError, match="cannot reach tls://"):
            list(DaskWorkers(address, LIMITS, patience_seconds=2).map(abs, [-1]))
        with pytest.raises(WorkerError, match="cannot reach tls://.*certificate"):
            list(DaskWorkers(address, LIMITS, patience_seconds=2).map(abs, [-1]))
        plain = address.replace("tls://", "tcp://")
        with pytest.raises(WorkerError, match="cannot reach tcp://"):
            list(DaskWorkers(plain, LIMITS, patience_seconds=2).map(abs, [-1]))


def test_a_dask_worker_that_dies_loses_nothing(tmp_path: Path) -> None:
    # The first to try ends its parent, the dask worker; whoever tries again answers.
    mark = tmp_path / "died"
    deadly = f"__import__('os').path.exists({str(mark)!r}) or (open({str(mark)!r}, 'w').close(), "
    deadly += "__import__('os').kill(__import__('os').getppid(), 9))"
    with cluster("tcp", [], num_workers=2) as address:
        tasks = ["1", deadly, "3", "4", "5"]
        answers = dict(DaskWorkers(address, LIMITS, patience_seconds=60).map(eval, tasks))
    assert answers == {0: 1, 1: True, 2: 3, 3: 4, 4: 5}
    assert mark.exists()
