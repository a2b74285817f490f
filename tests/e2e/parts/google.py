"""Reads one secret as a workload with Google's own clients would, and prints what came of it.

CREDENTIAL is the document of an external account; of its URLs only the hosts are replaced by ORIGIN.
"""
import json
import os

from google.auth import identity_pool, pluggable
from google.cloud import secretmanager_v1
from google.cloud.secretmanager_v1.services.secret_manager_service import transports

origin = os.environ["ORIGIN"]
text = os.environ["CREDENTIAL"]
for host in ["sts.googleapis.com", "iamcredentials.googleapis.com"]:
    text = text.replace("https://" + host, origin)
account = json.loads(text)
library = pluggable if "executable" in account["credential_source"] else identity_pool
try:
    credentials = library.Credentials.from_info(
        account, scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    transport = transports.SecretManagerServiceRestTransport(
        host=origin.removeprefix("https://"), credentials=credentials
    )
    client = secretmanager_v1.SecretManagerServiceClient(transport=transport)
    answer = client.access_secret_version(name=os.environ["SECRET"], retry=None)
    found = {
        "name": answer.name,
        "value": answer.payload.data.decode(),
        "checksum": answer.payload.data_crc32c,
    }
except Exception as error:
    found = {"error": type(error).__name__}
print(json.dumps(found))
