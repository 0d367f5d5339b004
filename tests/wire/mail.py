"""A real SMTP server, Python's aiosmtpd, and Python's parser of e-mails: both judge what a daemon sends.

Arguments: certificate and key in PEM, user, password. Demands STARTTLS and the login. Prints its port, and then a line
of JSON for each message: what the envelope and the e-mail have, as the parser reads them.
"""

import json
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

certificate, key, user, password = sys.argv[1:]
asked = {}


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        asked[address] = asked.get(address, 0) + 1
        if address.startswith("nobody@"):
            return "550 5.1.1 <%s>: Recipient address rejected: User unknown" % address
        if address.startswith("grey@") and asked[address] == 1:
            return "450 4.7.1 greylisted, try again"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.original_content, policy=policy.default)
        body = mail.get_body(("plain",))
        html = mail.get_body(("html",))
        print(
            json.dumps(
                {
                    "tls": session.ssl is not None,
                    "sender": envelope.mail_from,
                    "recipients": envelope.rcpt_tos,
                    "from": str(mail["from"]),
                    "to": str(mail["to"]),
                    "subject": None if mail["subject"] is None else str(mail["subject"]),
                    "id": mail["message-id"],
                    "date": mail["date"].datetime.isoformat(),
                    "unsubscribe": mail["list-unsubscribe"],
                    "type": mail.get_content_type(),
                    "text": body.get_content(),
                    "html": None if html is None else html.get_content(),
                    "alternatives": [part.get_content_type() for part in mail.iter_parts()],
                    "defects": [str(defect) for part in mail.walk() for defect in part.defects],
                    "longest": max(map(len, envelope.original_content.splitlines())),
                }
            ),
            flush=True,
        )
        return "250 2.0.0 Ok: queued"


def login(server, session, envelope, mechanism, data):
    success = (data.login, data.password) == (user.encode(), password.encode())
    # One that is not handled has a response of the server's own.
    return AuthResult(success=success, handled=success)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


class OnAnyPort(Controller):
    """A port of 0 is one that the system picks."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


controller = OnAnyPort(
    Handler(),
    hostname="127.0.0.1",
    port=0,
    tls_context=context,
    require_starttls=True,
    auth_required=True,
    authenticator=login,
)
controller.start()
print(controller.server.sockets[0].getsockname()[1], flush=True)
sys.stdin.read()
controller.stop()
