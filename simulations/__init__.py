"""One experiment a file: ``python -m simulations.NAME``."""
