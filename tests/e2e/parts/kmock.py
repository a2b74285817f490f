# The API server of a cluster for tests: kmock, with one rule, for TokenReview.
import asyncio
import json
import os

import kmock

REVIEWER = f"Bearer {os.environ['REVIEWER']}"
# What the cluster says of a token, by the token.
STATUSES = json.loads(os.environ["STATUSES"])
REVIEWS = "post /apis/authentication.k8s.io/v1/tokenreviews"


def status(spec):
    said = STATUSES.get(spec["token"], {"authenticated": False, "error": "not of this cluster"})
    audiences = [known for known in said.get("audiences", []) if known in spec["audiences"]]
    if said["authenticated"] and not audiences:
        return {"authenticated": False, "error": "for other audiences"}
    return {**said, "audiences": audiences}


def review(request):
    headers = {name.lower(): value for name, value in request.headers.items()}
    if headers.get("authorization") != REVIEWER:
        return kmock.Response(status=401, payload={"kind": "Status", "code": 401})
    return {**request.data, "status": status(request.data["spec"])}


async def main():
    scaffold = kmock.KubernetesScaffold()
    async with scaffold as cluster, kmock.Server(cluster, port=int(os.environ["PORT"])):
        cluster[REVIEWS] << review
        await asyncio.Event().wait()


asyncio.run(main())
