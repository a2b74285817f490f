"""Token exchanges by clients that nobody here wrote: google-auth's `sts.Client` and Authlib.

Reads from standard input: the gateway's URL, the subject token, the audience, the principal. The
gateway's certificate is in the environment, as `requests` takes it.
Prints one JSON document with what each client got.
"""

import json
import sys

from authlib.integrations.requests_client import OAuth2Session
from google.auth.transport.requests import Request
from google.oauth2 import sts

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"

asked = json.load(sys.stdin)
endpoint = asked["url"] + "/oauth2/token"

google = sts.Client(endpoint).exchange_token(
    Request(),
    GRANT,
    asked["token"],
    JWT,
    audience=asked["audience"],
    requested_token_type=ACCESS,
)

client = OAuth2Session(token_endpoint_auth_method="none", client_id=asked["client"])
authlib = client.fetch_token(
    endpoint,
    grant_type=GRANT,
    subject_token=asked["token"],
    subject_token_type=JWT,
    audience=asked["audience"],
)

refused = None
try:
    client.fetch_token(endpoint, grant_type=GRANT, subject_token="garbage", subject_token_type=JWT)
except Exception as error:  # what it raises is what is looked at
    refused = getattr(error, "error", str(error))

json.dump({"google": google, "authlib": dict(authlib), "refused": refused}, sys.stdout)
