"""The commands of the command line, one module each. They import the harness when they run."""
