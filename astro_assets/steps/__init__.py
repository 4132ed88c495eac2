"""The reduction from files to files: one module per product."""
