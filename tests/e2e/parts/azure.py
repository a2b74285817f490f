"""Reads one secret as a workload with Microsoft's own clients would, and prints what came of it.

Tenant, client and token file are in the variables that azure-identity looks for; with CALLBACK the
file is read by a function that the program gives the library.
"""
import json
import os
import pathlib

from azure.identity import ClientAssertionCredential, WorkloadIdentityCredential
from azure.keyvault.secrets import SecretClient

origin = os.environ["ORIGIN"]
local = {"authority": origin, "disable_instance_discovery": True, "retry_total": 0}
if "CALLBACK" in os.environ:
    credential = ClientAssertionCredential(
        os.environ["AZURE_TENANT_ID"],
        os.environ["AZURE_CLIENT_ID"],
        pathlib.Path(os.environ["AZURE_FEDERATED_TOKEN_FILE"]).read_text,
        **local,
    )
else:
    credential = WorkloadIdentityCredential(**local)
client = SecretClient(
    vault_url=origin, credential=credential, verify_challenge_resource=False, retry_total=0
)
try:
    if os.environ["SECRET"] == "*":
        found = {"names": [found.name for found in client.list_properties_of_secrets()]}
    else:
        secret = client.get_secret(os.environ["SECRET"], os.environ.get("VERSION"))
        found = {
            "value": secret.value,
            "version": secret.properties.version,
            "content_type": secret.properties.content_type,
        }
except Exception as error:
    found = {"error": type(error).__name__}
print(json.dumps(found))
