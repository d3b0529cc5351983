"""Tables, made by ``manage.py migrate``."""
