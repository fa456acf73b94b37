"""A local S3: moto's server in a thread of this process, empty before each test."""

from __future__ import annotations

import urllib.request

import pytest

BUCKET = "mirrors"


def _call(url, method):
    with urllib.request.urlopen(urllib.request.Request(url, data=b"", method=method)) as answer:
        answer.read()


@pytest.fixture(scope="session")
def s3_server():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_options(s3_server):
    """What `obstore.store.S3Store` needs to reach the server; its one bucket is empty."""
    _call(f"{s3_server}/moto-api/reset", "POST")
    _call(f"{s3_server}/{BUCKET}", "PUT")
    return {
        "bucket": BUCKET,
        "endpoint": s3_server,
        "region": "us-east-1",
        "access_key_id": "nobody",
        "secret_access_key": "canary-secret",
        "client_options": {"allow_http": True},
        "retry_config": {"max_retries": 1},
    }


@pytest.fixture
def s3(s3_options):
    from obstore.store import S3Store

    return S3Store(**s3_options)
