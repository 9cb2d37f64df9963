"""A real S3 API on loopback, which counts requests and fails when it is told to."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from moto.server import DomainDispatcherApplication, create_backend_app
from pyarrow import fs
from werkzeug.serving import WSGIRequestHandler, make_server

# Nobody but a leak can write these down.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKID-of-the-tests",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
    "AWS_SESSION_TOKEN": "token-of-the-tests",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

Request = dict[str, Any]


class ObjectStore:
    """An S3 server in this process.

    ``requests`` are the methods and queries of what it was asked; ``fault`` may answer a request in its place.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.fault: Callable[[Request], int | None] = lambda _: None
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Silent)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self._n_buckets = 0
        self._one_by_one = threading.Lock()  # a store looks and writes in one step, moto in two
        self.endpoint = f"127.0.0.1:{self._server.port}"
        self.filesystem = fs.S3FileSystem(
            access_key="any", secret_key="any", endpoint_override=self.endpoint, scheme="http", region="us-east-1",
            allow_bucket_creation=True,
        )  # fmt: skip

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def new_bucket(self) -> str:
        self._n_buckets += 1
        name = f"bucket-{self._n_buckets}"
        self.filesystem.create_dir(name)
        return name

    def uri(self, place: str, **options: str) -> str:
        return f"s3://{place}?{urlencode({'endpoint_override': self.endpoint, 'scheme': 'http'} | options)}"

    def objects(self, place: str) -> dict[str, bytes]:
        """Return what lies in a bucket or below a prefix, but for the empty objects that stand for folders."""
        found = self.filesystem.get_file_info(fs.FileSelector(place, recursive=True, allow_not_found=True))
        files = [entry.path for entry in found if entry.type == fs.FileType.File]
        return {path.removeprefix(f"{place}/"): self.filesystem.open_input_file(path).read() for path in files}

    @contextmanager
    def failing(self, fault: Callable[[Request], int | None]) -> Iterator[None]:
        """Answer requests with the status that ``fault`` returns for them, if any."""
        self.fault = fault
        try:
            yield
        finally:
            self.fault = lambda _: None

    @contextmanager
    def losing_answers(self, is_lost: Callable[[Request], bool]) -> Iterator[None]:
        """Do what the first request asks for that ``is_lost`` chooses, and drop its connection without a word."""
        lost: list[Request] = []

        def lose(request: Request) -> int | None:
            if lost or not is_lost(request):
                return None
            lost.append(request)
            list(self._moto(request, lambda *_: None))
            request["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return 500

        with self.failing(lose):
            yield
        assert lost

    @contextmanager
    def door(self, step: Callable[[str, Callable[[], Any], Callable[[], Any]], Any]) -> Iterator[str]:
        """Yield another endpoint of the same store.

        ``step`` is given what each of its requests is called, what does it and returns the answer, and what drops it.
        """

        def answer(request: Request, start_response: Callable[..., Any]) -> Any:
            self.requests.append((request["REQUEST_METHOD"], request["QUERY_STRING"]))
            request["wsgi.input"] = io.BytesIO(request["wsgi.input"].read(int(request.get("CONTENT_LENGTH") or 0)))
            begin = [start_response]

            def do() -> Any:
                with self._one_by_one:
                    return self._moto(request, begin[0])

            def drop() -> list[bytes]:
                begin[0] = lambda *_: None
                request["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                start_response("500 dropped", [])
                return []

            return step(f"{request['REQUEST_METHOD']} {request['PATH_INFO']}?{request['QUERY_STRING']}", do, drop)

        server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=_Silent)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.port}"
        server.shutdown()
        server.server_close()
        thread.join()

    def _answer(self, request: Request, start_response: Callable[..., Any]) -> Any:
        self.requests.append((request["REQUEST_METHOD"], request["QUERY_STRING"]))
        status = self.fault(request)
        if status is None:
            return self._moto(request, start_response)
        start_response(f"{status} as told", [("Content-Type", "application/xml")])
        return [b"<Error><Code>InternalError</Code><Message>as told</Message></Error>"]


class _Silent(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


def cut_off(request: Request) -> int | None:
    """Read half of what is uploaded, then drop the connection."""
    if request["REQUEST_METHOD"] == "PUT":
        request["wsgi.input"].read(int(request["CONTENT_LENGTH"]) // 2)
        request["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return 500
    return None
