"""`kshot forget` deletes an image from DVC's remote in a bucket, and goes on when the bucket answers again."""

import sys
from pathlib import Path

import boto3
import pytest

from kshot import cli
from kshot.errors import DataError
from kshot.lifecycle.data.changes import add_version
from kshot.lifecycle.doctor import remote
from tests.lifecycle import raw_project
from tests.lifecycle.forget.planted_image import dvc
from tests.services.processes import free_port, process, wait_for
from tests.services.servers import BUCKET, KEYS

pytestmark = pytest.mark.services


def test_no_object_of_a_bucket_has_a_forgotten_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, port = raw_project.make(tmp_path / "project"), free_port()
    address = f"http://127.0.0.1:{port}"
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(root)
    moto = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with process(moto, {}, tmp_path / "bucket.log") as started:
        wait_for(started, port, "/", tmp_path / "bucket.log")
        bucket = boto3.resource("s3", endpoint_url=address).Bucket(BUCKET)
        bucket.create()
        dvc(root, "remote", "add", "-q", "-d", "bucket", f"s3://{BUCKET}/dvc")
        dvc(root, "remote", "modify", "bucket", "endpointurl", address)
        for number, classes in enumerate(({"a": 2, "b": 2}, {"a": 3, "b": 2})):
            add_version.add(root, str(raw_project.write_tree(tmp_path / str(number), classes)))
        remote.push(root)
        planted = raw_project.image("a/0")

        def holders() -> int:
            return sum(planted in one.get()["Body"].read() for one in bucket.objects.all())

        assert holders() == 1
        before = len(list(bucket.objects.all()))
        asked = ["forget", "images/a/0.png", "--reason", "taken back", "--by", "Ada", "--yes"]
        dvc(root, "remote", "modify", "bucket", "endpointurl", f"http://127.0.0.1:{free_port()}")
        assert cli.main(asked) == DataError.exit_code
        assert "remote bucket cannot be reached" in capsys.readouterr().err
        assert holders() == 1
        dvc(root, "remote", "modify", "bucket", "endpointurl", address)
        assert cli.main(asked) == 0, capsys.readouterr().err
        assert holders() == 0 and len(list(bucket.objects.all())) == before - 1
