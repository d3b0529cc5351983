"""Sessions in a database of a Django project, on Django's connections and in its transactions."""

from sojourn.stores.django.store import DjangoStore

__all__ = ["DjangoStore"]
