"""A store of secrets, as a vendor would write one in Python: some stand in its configuration, the others
are asked of a server.

`result` of the contract is what is returned, or the `Err` that is raised. Any other exception is a defect,
and ends the call as a trap.
"""

import json
import random
from pathlib import Path
from secrets import token_hex

from componentize_py_types import Err, Ok
from wit_world.exports.check import Report
from wit_world.exports.describe import Descriptor, Egress
from wit_world.exports.secrets import Listing, Secret, Value_Opaque
from wit_world.imports import config
from wit_world.imports.log import Level, log
from wit_world.imports.symbolon_plugin_types import Error, ErrorKind

import upstream

# Read while the component is made: what a module does at its top is done before anybody calls.
MANIFEST = json.loads(Path(__file__).with_name("manifest.json").read_text())
# Below this, secrets are the server's.
REMOTE = "remote/"
# Asked for this one, the plugin has a defect.
DEFECT = "defect"
# Another one each time, from both generators of the language.
CHANCE = "chance"


def _fault(kind, code, message, sent=False, status=None):
    return Err(Error(kind, code, message, None, sent, status, []))


def _absent(**more):
    return _fault(ErrorKind.NOT_FOUND, "absent", "there is no such secret", **more)


def _configuration():
    """Address and secrets, of a configuration of which every key is known."""
    known = json.loads(config.get())
    address, secrets = known.pop("address", None), known.pop("secrets", {})
    for key in known:
        message = f"`{key}` is no key of this configuration"
        raise _fault(ErrorKind.INVALID_CONFIG, "unknown_key", message)
    return address, secrets


def _text(path, value):
    kind = "text/plain; charset=utf-8"
    return Secret(path, None, kind, Value_Opaque(value), None, [("language", "python")])


def _chance():
    """No two calls may have the same, though each begins from one image."""
    return f"{random.random()} {token_hex(16)}"


def _fetched(address, path, context):
    """One of the server's."""
    if address is None:
        raise _absent()
    url = f"{address}/v1/{path.removeprefix(REMOTE)}"
    match upstream.get(url, [("x-request-id", context.request_id)]):
        case (200, body):
            return _text(path, body)
        case (404, _):
            raise _absent(sent=True, status=404)
        case (status, _):
            message = "the server does not answer"
            raise _fault(ErrorKind.UNAVAILABLE, "refused", message, sent=True, status=status)
        case None:
            raise _fault(ErrorKind.UNAVAILABLE, "unreachable", "nobody answers", sent=True)


def _one(context, selector):
    if selector.path == DEFECT:
        raise TypeError("this is a defect of the plugin")
    if selector.path == CHANCE:
        return _text(selector.path, _chance().encode())
    if selector.version is not None:
        raise _absent()
    address, secrets = _configuration()
    if selector.path.startswith(REMOTE):
        return _fetched(address, selector.path, context)
    if selector.path not in secrets:
        raise _absent()
    return _text(selector.path, secrets[selector.path].encode())


def _outcome(context, selector):
    """A member of `read-many`, which has an outcome of its own."""
    try:
        return Ok(_one(context, selector))
    except Err as error:
        return error


class Describe:
    def describe(self):
        return Descriptor(
            name=MANIFEST["name"],
            version=MANIFEST["version"],
            summary=MANIFEST["summary"],
            config_schema=json.dumps(MANIFEST["config_schema"]),
            egress=[Egress(**one) for one in MANIFEST["egress"]],
            recovery=None,
            metadata=list(MANIFEST["metadata"].items()),
        )


class Check:
    def validate(self):
        _, secrets = _configuration()
        return Report([f"{len(secrets)} secrets in the configuration"], [])

    def probe(self, context):
        return Report([], [])


class Secrets:
    def read(self, context, selector):
        log(Level.DEBUG, "a secret is read", [("request", context.request_id)])
        return _one(context, selector)

    def read_many(self, context, selectors):
        return [_outcome(context, selector) for selector in selectors]

    def list(self, context, folder, next):
        prefix = "" if folder is None else folder.rstrip("/") + "/"
        _, secrets = _configuration()
        rests = [path.removeprefix(prefix) for path in secrets if path.startswith(prefix)]
        names = {rest if "/" not in rest else rest[: rest.index("/") + 1] for rest in rests}
        return Listing(sorted(names), None)
