"""The run report: one HTML page that shows what an output is made of. ``page`` puts it together."""
