"""Twilio's own helper library: signs callbacks, and judges signed ones.

Reads lines of JSON and answers each with one: {"sign": [url, body]} with the URL that is signed and the
signature, {"judge": [url, body, signature]} with whether the helper takes it. The body is a text (JSON, with its
hash in the URL) or an object of form fields.
"""

import json
import sys

from twilio.request_validator import RequestValidator

validator = RequestValidator(sys.argv[1])
for line in sys.stdin:
    asked = json.loads(line)
    if "sign" in asked:
        url, body = asked["sign"]
        fields = body
        if isinstance(body, str):
            url += ("&" if "?" in url else "?") + "bodySHA256=" + validator.compute_hash(body)
            fields = {}
        answer = [url, validator.compute_signature(url, fields)]
    else:
        answer = validator.validate(*asked["judge"])
    print(json.dumps(answer), flush=True)
