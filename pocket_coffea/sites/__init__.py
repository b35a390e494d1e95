"""What is true of a site, read from ``sites/<site>.yaml`` (see sites/README.md)."""
