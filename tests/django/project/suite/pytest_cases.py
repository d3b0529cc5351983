"""Written for pytest-django."""

import pytest

from sojourn.django import get_auth, subject_of
from sojourn.django.testing import sign_in


@pytest.mark.django_db
def test_a_client(client, django_user_model):
    """Django's session, and rows that are rolled back."""
    ann = django_user_model.objects.create_user("ann", password="seven unrelated words")
    assert get_auth().sessions(subject_of(ann)) == []
    client.force_login(ann)
    assert client.get("/me").json()["user"] == "ann"
    assert len(get_auth().sessions(subject_of(ann))) == 1


@pytest.mark.django_db
def test_a_client_once_more(client, django_user_model):
    """Whatever the test before did is gone."""
    ann = django_user_model.objects.create_user("ann", password="seven unrelated words")
    assert get_auth().sessions(subject_of(ann)) == []
    sign_in(client, ann, transport="bearer")
    assert client.get("/me").json()["transport"] == "bearer"


def test_the_admins_client(admin_client):
    """The admin's list of sessions."""
    assert admin_client.get("/admin/sojourn/session/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_transactional_test(client, django_user_model):
    """Where rows are really committed, and then flushed."""
    ann = django_user_model.objects.create_user("ann", password="seven unrelated words")
    client.force_login(ann)
    get_auth().revoke_all(subject_of(ann))
    assert client.get("/me").json()["user"] is None


def test_changed_settings(settings, client, db, django_user_model):
    """The `settings` fixture makes another Sojourn."""
    settings.SOJOURN = {"URL": "http://localhost:9000", "STORE": "memory://"}
    client.force_login(django_user_model.objects.create_user("ann"))
    assert client.get("/me").json()["user"] == "ann"
