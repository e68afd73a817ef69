"""The story that `fedschema demo` tells."""
