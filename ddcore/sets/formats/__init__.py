"""What other tools read and write: one file per format, and a table of them."""
