"""What a fleet looks like to whoever watches it: `fedschema metrics`."""
