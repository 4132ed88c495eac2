"""What runs on the Raspberry Pi: plan, cameras, the loop of the night."""
