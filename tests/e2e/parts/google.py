"""Reads one secret as a workload with Google's own clients would, and prints what came of it."""
import json
import os

from google.auth import exceptions, identity_pool
from google.cloud import secretmanager_v1
from google.cloud.secretmanager_v1.services.secret_manager_service import transports

origin = os.environ["ORIGIN"]
account = os.environ["ACCOUNT"]
credentials = identity_pool.Credentials(
    audience="//iam.googleapis.com/" + os.environ["PROVIDER"],
    subject_token_type="urn:ietf:params:oauth:token-type:jwt",
    token_url=origin + "/v1/token",
    service_account_impersonation_url=origin
    + f"/v1/projects/-/serviceAccounts/{account}:generateAccessToken",
    credential_source={"file": os.environ["ASSERTION"]},
    scopes=["https://www.googleapis.com/auth/cloud-platform"],
)
transport = transports.SecretManagerServiceRestTransport(
    host=origin.removeprefix("https://"), credentials=credentials
)
client = secretmanager_v1.SecretManagerServiceClient(transport=transport)
try:
    answer = client.access_secret_version(name=os.environ["SECRET"], retry=None)
    found = {
        "name": answer.name,
        "value": answer.payload.data.decode(),
        "checksum": answer.payload.data_crc32c,
    }
except Exception as error:
    found = {"error": type(error).__name__}
print(json.dumps(found))
