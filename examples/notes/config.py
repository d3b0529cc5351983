"""Where everything is. What else of Sojourn is set, it reads from SOJOURN_MODE and so on by itself."""

import os

PORT = int(os.environ.get("PORT", "8000"))
URL = os.environ.get("SOJOURN_URL", f"http://127.0.0.1:{PORT}")
DATABASE = os.environ.get("NOTES_DATABASE", "notes.db")
STORE = os.environ.get("SOJOURN_STORE", f"sqlite:///{DATABASE}")  # beside the notes, in one file
