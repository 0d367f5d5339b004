"""An app's saves through Django: a row that was sent is loaded, one field changed, and saved whole."""

import os
from urllib.parse import urlparse

import django
from django.conf import settings

url = urlparse(os.environ["DATABASE_URL"])
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": url.path.lstrip("/"),
            "USER": url.username,
            "PASSWORD": url.password or "",
            "HOST": url.hostname,
            "PORT": url.port,
        }
    },
    USE_TZ=True,
)
django.setup()

from django.db import connection, models  # noqa: E402
from django.db.utils import DatabaseError  # noqa: E402


class Message(models.Model):
    id = models.UUIDField(primary_key=True)
    to_number = models.TextField()
    from_number = models.TextField(null=True)
    body = models.TextField()
    scheduled_at = models.DateTimeField()
    send_before = models.DateTimeField(null=True)
    channel = models.TextField(null=True)
    template_vars = models.JSONField(null=True)
    status = models.TextField()
    metadata = models.JSONField()

    class Meta:
        app_label = "app"
        managed = False
        db_table = "scheduled_messages"


for status in ["sending", "sent", "delivered", "unconfirmed"]:
    row = Message.objects.get(status=status)
    row.metadata = {"seen": status}
    row.save()
    assert Message.objects.get(pk=row.pk).metadata == {"seen": status}
    Message.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["to_number", "body", "scheduled_at", "template_vars", "status", "metadata"],
    )
    row.body = "other"
    try:
        row.save()
    except DatabaseError as error:
        assert error.__cause__.sqlstate == "PT409", error
        assert f"message {row.pk} is {status}; it is too late to change it" in str(error), error
    else:
        raise AssertionError(f"the text of what is {status} was changed")
    print(f"ok: Django: {status}: another column is saved, the text is not")
connection.close()
