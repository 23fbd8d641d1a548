"""The server of the page that shows runs: a WSGI application, and a server for this computer."""
