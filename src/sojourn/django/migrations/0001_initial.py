"""The tables of sessions, and what the admin sees of them."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

from sojourn.stores.django.tables import bring_up_to_date


class Migration(migrations.Migration):
    """There is no way back: whoever takes the application out drops its tables by hand."""

    initial = True
    dependencies: ClassVar = []
    operations: ClassVar = [
        migrations.RunPython(bring_up_to_date),
        migrations.CreateModel(
            name="Session",
            fields=[
                ("sid", models.TextField(primary_key=True, serialize=False)),
                ("subject", models.TextField()),
                ("created_at_ms", models.BigIntegerField(db_column="created_at")),
                ("dies_at_ms", models.BigIntegerField(db_column="dies_at")),
                ("payload", models.BinaryField()),
            ],
            options={
                "db_table": "sojourn_sessions",
                "ordering": ["-created_at_ms"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="AuditLine",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("subject", models.TextField()),
                ("sid", models.TextField()),
            ],
            options={
                "db_table": "sojourn_audit",
                "ordering": ["-number"],
                "managed": False,
            },
        ),
    ]
