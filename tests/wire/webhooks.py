"""The official Python library of Standard Webhooks: judges signed requests.

Reads lines of JSON, {"secret": ..., "headers": {...}, "body": ...}, and answers each with what an endpoint gets: the
payload, or null if the library refuses the request.
"""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = Webhook(asked["secret"]).verify(asked["body"], asked["headers"])
    except WebhookVerificationError:
        answer = None
    print(json.dumps(answer), flush=True)
