"""A browser's half of Web Push, by `http_ece` and `cryptography`: prints the keys of a new subscription, and then for each line of
JSON with a body and a header `Authorization` what the body is when it is decrypted, and what the token claims, once its
signature is verified.
"""

import base64
import json
import os
import sys
import time

import http_ece
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


private = ec.generate_private_key(ec.SECP256R1())
point = private.public_key().public_bytes(
    serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
)
auth = os.urandom(16)
print(json.dumps({"p256dh": encoded(point), "auth": encoded(auth)}), flush=True)

for line in sys.stdin:
    asked = json.loads(line)
    body = http_ece.decrypt(
        decoded(asked["body"]), private_key=private, auth_secret=auth, version="aes128gcm"
    )
    scheme, _, fields = asked["authorization"].partition(" ")
    assert scheme == "vapid", scheme
    fields = dict(field.strip().split("=", 1) for field in fields.split(","))
    head, claims, signature = fields["t"].split(".")
    assert json.loads(decoded(head))["alg"] == "ES256"
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(fields["k"]))
    raw = decoded(signature)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    key.verify(
        utils.encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256())
    )
    claims = json.loads(decoded(claims))
    print(
        json.dumps(
            {
                "message": json.loads(body),
                "claims": claims,
                "hours": (claims["exp"] - time.time()) / 3600,
                "key": fields["k"],
            }
        ),
        flush=True,
    )
