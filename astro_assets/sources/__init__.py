"""Where frames come from: transports, kinds with their naming rules, and one fetch for all."""
