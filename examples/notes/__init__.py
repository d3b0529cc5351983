"""What the notes application is made of in every framework: its people, its notes, its pages.

Nothing here knows a framework or Sojourn (but `notes.account`, what account pages share).
"""

from notes.bodies import BadInput, Values, read_values, safe_next
from notes.config import DATABASE, PORT, STORE, URL
from notes.live import Live
from notes.pages import HEADERS, STATIC, page, wants_page
from notes.people import FIRST, People, Person, good_password
from notes.store import Notes

__all__ = [
    "DATABASE",
    "FIRST",
    "HEADERS",
    "PORT",
    "STATIC",
    "STORE",
    "URL",
    "BadInput",
    "Live",
    "Notes",
    "People",
    "Person",
    "Values",
    "good_password",
    "page",
    "read_values",
    "safe_next",
    "wants_page",
]
