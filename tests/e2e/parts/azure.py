"""Reads one secret as a workload with Microsoft's own clients would, and prints what came of it."""
import json
import os

from azure.identity import WorkloadIdentityCredential
from azure.keyvault.secrets import SecretClient

origin = os.environ["ORIGIN"]
credential = WorkloadIdentityCredential(
    tenant_id=os.environ["TENANT"],
    client_id=os.environ["CLIENT"],
    token_file_path=os.environ["ASSERTION"],
    authority=origin,
    disable_instance_discovery=True,
    retry_total=0,
)
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
