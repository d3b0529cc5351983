"""The standalone server: accounts, the HTTP API and pages, over the library."""
