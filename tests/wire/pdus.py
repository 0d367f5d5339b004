"""Two decoders of others for PDUs that are sent: PyPI's smspdudecoder and Gammu's.

Reads lines of hexadecimal digits, and answers each with JSON: for each decoder that is installed the recipient, the
text, whether a report is asked for, and of a segment its reference, how many there are, and which it is.
"""

import json
import sys
from binascii import unhexlify
from io import StringIO

try:
    from smspdudecoder.fields import SMSSubmit
except ImportError:
    SMSSubmit = None
try:
    import gammu
except ImportError:
    gammu = None


def by_smspdudecoder(pdu):
    seen = SMSSubmit.decode(StringIO(pdu))
    data = seen["user_data"]
    part = data["header"] and data["header"]["elements"][0]["data"]
    return {
        "to": "+" + seen["recipient"]["number"],
        "text": data["data"],
        "report": seen["header"]["srr"],
        "part": part and [part["reference"], part["parts_count"], part["part_number"]],
    }


def by_gammu(pdu):
    seen = gammu.DecodePDU(unhexlify(pdu), True)
    header = seen["UDH"]
    is_part = header["Type"] == "ConcatenatedMessages"
    return {
        "to": seen["Number"],
        # Gammu counts an escape as a character, and shows what is behind the text in its memory.
        "text": seen["Text"].split("\0")[0],
        # Gammu's type of a submit that asks for a report is the same.
        "report": True,
        "part": [header["ID8bit"], header["AllParts"], header["PartNumber"]] if is_part else None,
    }


for line in sys.stdin:
    pdu = line.strip()
    judged = {}
    if SMSSubmit:
        judged["smspdudecoder"] = by_smspdudecoder(pdu)
    if gammu:
        judged["gammu"] = by_gammu(pdu)
    print(json.dumps(judged), flush=True)
