"""One file a run; `default.py` holds every field."""
