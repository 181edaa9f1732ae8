"""What claims of speed and memory rest on."""
