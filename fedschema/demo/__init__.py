"""The story that `fedschema demo` tells."""

from fedschema.demo.stage import Chapter, DemoFailed, DemoInTheWay, Shown
from fedschema.demo.story import Demo

__all__ = ["Chapter", "Demo", "DemoFailed", "DemoInTheWay", "Shown"]
