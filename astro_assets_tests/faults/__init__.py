"""The faults that the project survives, each shown against a server: `make faults`."""
