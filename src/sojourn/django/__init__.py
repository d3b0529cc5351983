"""Sojourn for Django: ``INSTALLED_APPS = ["sojourn.django", …]``."""
