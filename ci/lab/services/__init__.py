"""The services of the lab, one module each; docs/lab.md tells how to add one."""
