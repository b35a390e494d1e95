"""Tools that used to be stand-alone scripts; their import paths stay."""
