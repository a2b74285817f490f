"""A request over the host's HTTP, as the generated bindings of `wasi:http` have it."""

from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.wasi_http_types import Fields, IncomingBody, OutgoingRequest, Scheme_Https

CHUNK = 64 * 1024


def get(url, headers):
    """Status and body of the answer, or `None` if the host let nothing through or nobody answered."""
    answer = _sent(_request(url, headers))
    if answer is None:
        return None
    with answer:
        return answer.status(), _read(answer.consume())


def _request(url, headers):
    parts = urlsplit(url)
    request = OutgoingRequest(Fields.from_list([(name, value.encode()) for name, value in headers]))
    request.set_scheme(Scheme_Https())
    request.set_authority(parts.netloc)
    request.set_path_with_query(parts.path)
    return request


def _sent(request):
    try:
        coming = outgoing_handler.handle(request, None)
    except Err:
        return None
    with coming:
        with coming.subscribe() as ready:
            ready.block()
        match coming.get():
            case Ok(Ok(answer)):
                return answer
            case _:
                return None


def _read(body):
    chunks = []
    with body.stream() as stream:
        try:
            while True:
                chunks.append(stream.blocking_read(CHUNK))
        except Err as error:
            if not isinstance(error.value, StreamError_Closed):
                raise
    IncomingBody.finish(body)
    return b"".join(chunks)
