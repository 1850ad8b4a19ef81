"""Outside of the server there is no module `uwsgi`: this one says so."""

raise ImportError(
    "the module uwsgi exists only inside the server: start the program with it, as in "
    '"rsgi --http :8000 --module app" or "rsgi --pyrun script.py"'
)
