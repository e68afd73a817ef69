"""One page that shows a federation to people: `fedschema report`."""
